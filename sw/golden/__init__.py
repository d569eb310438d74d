"""Bit-exact golden models, one file per hardware block, written from the definition."""
