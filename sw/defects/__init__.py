"""Cores that manufacturing leaves dead: how many to expect, and seeded maps of which."""
