"""The report of a run: pictures and tables on one self-contained page."""
