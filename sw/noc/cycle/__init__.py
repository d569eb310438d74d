"""Model (a): every flit, cycle by cycle."""
