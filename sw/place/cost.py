"""The objective: volume times hops, die borders counted as extra hops."""

from ouroboros.sw.place.instance import Instance, Ints

__all__ = ["cost", "edge_hops"]


def edge_hops(instance: Instance, core: Ints) -> Ints:
    """Hops of each edge, ``(edges,)``: ``|dx| + |dy| + die_penalty_hops * die borders crossed``.

    ``core`` holds the core of each tile, ``(tiles,)``.
    """
    a, b = core[instance.edges[:, 0]], core[instance.edges[:, 1]]
    u, v = instance.grid.u, instance.grid.v
    hops: Ints = abs(u[a] - u[b]) + abs(v[a] - v[b])
    return hops


def cost(instance: Instance, core: Ints) -> int:
    """Sum over the edges of volume times hops, exact, in units of volume times hops."""
    return int(instance.edges[:, 2] @ edge_hops(instance, core))
