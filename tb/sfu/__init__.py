"""Bench of the special-function unit."""
