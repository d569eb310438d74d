"""The ``ouroboros`` command line."""
