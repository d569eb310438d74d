"""Paths of packets of all route classes, hop by hop, from what is in header and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import TABLE_ADDRESS, Port, Turn
from ouroboros.hw.params.position import Position
from ouroboros.sw.noc.routes.xy import entrance, is_core, neighbour, next_port

__all__ = ["Channel", "Hop", "RouterTables", "class_path"]


class Channel(Enum):
    """Kinds of virtual channels; each has its own."""

    CLASS0 = "class 0"
    CLASS1 = "class 1"
    TRANSIT = "transit"
    ARRIVAL = "arrival"


@dataclass(frozen=True, slots=True)
class Hop:
    """A packet leaves a router; ``port`` is None where it is dropped instead."""

    at: Position
    port: Port | None
    channel: Channel


@dataclass(frozen=True, kw_only=True, slots=True)
class RouterTables:
    """What the host wrote into the routers, by position; what is left out is 0."""

    dead_ports: Mapping[Position, int] = field(default_factory=dict)
    """Mask of dead ports."""
    dies: Mapping[Position, Sequence[int]] = field(default_factory=dict)
    """``Turn`` by die."""
    cores: Mapping[Position, Sequence[int]] = field(default_factory=dict)
    """``Turn`` by number of the destination in the own die."""


def class_path(source: Position, destination: Position, way: tuple[int, int], route_class: int,
               mesh: MeshParams, tables: RouterTables | None = None) -> list[Hop]:
    """Hops of a unicast packet from its first router to where it leaves or is dropped.

    Parameters
    ----------
    way : tuple[int, int]
        Header fields ``way_x``, ``way_y``: a waypoint or (0, 0) on class 0 and 1, a
        ``TABLE_ADDRESS`` on class 2.
    route_class : int
        Of the packet as a whole: 0 and 1 start on class 0, 2 on transit.

    Raises
    ------
    ValueError
        If the packet goes round in a circle.
    """
    tables = tables or RouterTables()
    at = entrance(source, mesh)
    channel = Channel.TRANSIT if route_class == 2 else Channel.CLASS0
    hops: list[Hop] = []
    while len(hops) <= 4 * mesh.cores:
        port: Port | None
        if route_class == 2:
            port, channel = _by_tables(at, way, channel, tables)
        else:
            if channel is Channel.CLASS0 and way != (0, 0) and at == way:
                channel = Channel.CLASS1
            goal = destination if way == (0, 0) or channel is Channel.CLASS1 else way
            port = next_port(at, goal, mesh)
        if port is not None and tables.dead_ports.get(at, 0) >> port & 1:
            port = None
        hops.append(Hop(at, port, channel))
        if port is None or port is Port.LOCAL:
            return hops
        at = neighbour(at, port)
        if not is_core(at, mesh):
            return hops
    raise ValueError(f"packet from {source!r} to {destination!r} goes round in a circle")


def _by_tables(at: Position, way: tuple[int, int], channel: Channel,
               tables: RouterTables) -> tuple[Port | None, Channel]:
    address = TABLE_ADDRESS.unpack(way[0] | way[1] << 7)
    turn = Turn.ARRIVED
    if channel is Channel.TRANSIT:
        turn = Turn(tables.dies[at][address["die"]])
    if turn is Turn.ARRIVED:
        channel = Channel.ARRIVAL
        turn = Turn(tables.cores[at][address["core"]])
    return (None if turn in (Turn.NONE, Turn.ARRIVED) else Port(turn - 1)), channel
