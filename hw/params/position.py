"""Where things are on a mesh."""

__all__ = ["Position"]

Position = tuple[int, int]
"""(x, y) of a core, counted from 1; x or y just outside the mesh is an edge port."""
