"""Cycle counts on which hardware and models agree."""
