"""Connects the nodes of a mesh."""

from collections.abc import Callable, Mapping
from typing import Any

from amaranth import Module
from amaranth.lib.wiring import connect

from hw.params.packet import Port

__all__ = ["connected_ports", "mesh_links"]

Position = tuple[int, int]

NEIGHBOURS = {Port.NORTH: (0, -1), Port.EAST: (1, 0), Port.SOUTH: (0, 1), Port.WEST: (-1, 0)}
OPPOSITE = {Port.NORTH: Port.SOUTH, Port.EAST: Port.WEST,
            Port.SOUTH: Port.NORTH, Port.WEST: Port.EAST}


def connected_ports(position: Position, others: Mapping[Position, Any]) -> int:
    """Mask of a router's ports that lead somewhere; ``others`` has nodes and edge ports as keys.

    LOCAL always does.
    """
    x, y = position
    return 1 << Port.LOCAL | sum(
        1 << port for port, (dx, dy) in NEIGHBOURS.items() if (x + dx, y + dy) in others)


def mesh_links(m: Module, nodes: Mapping[Position, Any],
               edges: Mapping[Position, tuple[Any, Any]],
               border: Callable[[Position, Position], Any] = lambda at, there: None) -> None:
    """Connect every node to its neighbours, in both directions.

    Inputs of a node that nothing is connected to stay 0: no flit, no credit.

    Parameters
    ----------
    nodes : Mapping[Position, Any]
        By coordinates: anything with ``inputs`` (receiving ends of links) and ``outputs`` (sending
        ends), each indexed by the four mesh values of ``Port``.
    edges : Mapping[Position, tuple[Any, Any]]
        By the coordinates of the edge port: the sending end of the link into the mesh and the
        receiving end of the link out of it (``link_out`` and ``link_in`` of a ``HostPort``).
    border : Callable[[Position, Position], Any]
        What stands in the link from one node to another: a ``DieLink``, or None.

    Raises
    ------
    ValueError
        If an edge port has no node beside it, or stands where a node is.
    """
    for position, (source, sink) in edges.items():
        beside = [(port, at) for port in NEIGHBOURS
                  if (at := (position[0] + NEIGHBOURS[port][0],
                             position[1] + NEIGHBOURS[port][1])) in nodes]
        if position in nodes or len(beside) != 1:
            raise ValueError(f"edge port must lie beside exactly one node, not at {position!r}")
        port, at = beside[0]
        connect(m, source, nodes[at].inputs[OPPOSITE[port]])
        connect(m, nodes[at].outputs[OPPOSITE[port]], sink)
    for (x, y), node in nodes.items():
        for port, (dx, dy) in NEIGHBOURS.items():
            there = x + dx, y + dy
            if there not in nodes:
                continue
            end = nodes[there].inputs[OPPOSITE[port]]
            crossing = border((x, y), there)
            if crossing is None:
                connect(m, node.outputs[port], end)
            else:
                m.submodules[f"border_{x}_{y}_{port.name.lower()}"] = crossing
                connect(m, node.outputs[port], crossing.i)
                connect(m, crossing.o, end)
