"""Composition: tile, mesh, die."""
