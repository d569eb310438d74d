"""Studies over many experiments: saturation, BookSim2's tables, pictures."""
