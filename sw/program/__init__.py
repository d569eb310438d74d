"""Placed programs: what the host writes, packets, and reading a program back."""
