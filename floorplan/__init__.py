"""Geometry of core, die and wafer: pure functions (machine, rules) -> plan, and its files."""
