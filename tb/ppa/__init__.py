"""Area, timing and power of a machine's blocks, mapped to a cell library."""
