"""One file a table or figure; each can be run by a command."""
