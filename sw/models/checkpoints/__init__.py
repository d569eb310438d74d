"""The checkpoint that ships with the project: files only, see docs/training.md."""
