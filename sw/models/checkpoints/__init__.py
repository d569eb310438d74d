"""The checkpoint that ships with the project: files only, see README.md."""
