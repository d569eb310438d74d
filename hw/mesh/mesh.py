"""Connects the nodes of a mesh."""

from collections.abc import Callable, Mapping
from typing import Any

from amaranth import Module
from amaranth.lib.wiring import connect

from ouroboros.hw.params.packet import MESH_PORTS, Port
from ouroboros.hw.params.position import Position

__all__ = ["connected_ports", "mesh_links"]


def connected_ports(position: Position, others: Mapping[Position, Any]) -> int:
    """Mask of a router's ports that lead somewhere; ``others`` has nodes and edge ports as keys.

    LOCAL always does.
    """
    return 1 << Port.LOCAL | sum(
        1 << port for port in MESH_PORTS if port.beyond(position) in others)


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
        beside = [(port, at) for port in MESH_PORTS
                  if (at := port.beyond(position)) in nodes]
        if position in nodes or len(beside) != 1:
            raise ValueError(f"edge port must lie beside exactly one node, not at {position!r}")
        port, at = beside[0]
        connect(m, source, nodes[at].inputs[port.opposite])
        connect(m, nodes[at].outputs[port.opposite], sink)
    for at, node in nodes.items():
        for port in MESH_PORTS:
            there = port.beyond(at)
            if there not in nodes:
                continue
            end = nodes[there].inputs[port.opposite]
            crossing = border(at, there)
            if crossing is None:
                connect(m, node.outputs[port], end)
            else:
                m.submodules[f"border_{at[0]}_{at[1]}_{port.name.lower()}"] = crossing
                connect(m, node.outputs[port], crossing.i)
                connect(m, crossing.o, end)
