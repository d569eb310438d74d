"""Routes of packets, multicast trees and labels: what routers do and the mapper must know."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["LabelError", "Labels", "entrance", "is_core", "is_edge", "labels_for",
           "neighbour", "next_port", "path", "tree"]


class LabelError(OuroborosError):
    """The label tables are too small for the multicast groups."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of multicast groups and what the routers' tables must hold for them."""

    numbers: tuple[int, ...]
    """Label of each group, in the order given."""
    entries: dict[Position, dict[int, int]]
    """Port mask by label, for each router that has any."""


def is_core(position: Position, mesh: MeshParams) -> bool:
    """Whether there is a core at ``position``."""
    x, y = position
    return 1 <= x <= mesh.width and 1 <= y <= mesh.height


def is_edge(position: Position, mesh: MeshParams) -> bool:
    """Whether ``position`` is an edge port: just outside the mesh, and not at a corner."""
    x, y = position
    inside_x, inside_y = 1 <= x <= mesh.width, 1 <= y <= mesh.height
    return (inside_x and y in (0, mesh.height + 1)) or (inside_y and x in (0, mesh.width + 1))


def neighbour(position: Position, port: Port) -> Position:
    """What lies beyond a mesh port."""
    return port.beyond(position)


def entrance(source: Position, mesh: MeshParams) -> Position:
    """First router of a packet: the source's own, or the one beside an edge port."""
    _check("source", source, mesh)
    return (min(max(source[0], 1), mesh.width), min(max(source[1], 1), mesh.height))


def next_port(at: Position, destination: Position, mesh: MeshParams) -> Port:
    """Port by which the router ``at`` sends a unicast packet on.

    First in x to the destination's column, or the outermost column for one west or east of the
    mesh; then in y; then out.
    """
    if not is_core(at, mesh):
        raise ValueError(f"at must be a core of the mesh, not {at!r}")
    _check("destination", destination, mesh)
    column = min(max(destination[0], 1), mesh.width)
    if column != at[0]:
        return Port.EAST if column > at[0] else Port.WEST
    if destination[1] != at[1]:
        return Port.SOUTH if destination[1] > at[1] else Port.NORTH
    if destination[0] != at[0]:
        return Port.EAST if destination[0] > at[0] else Port.WEST
    return Port.LOCAL


def path(source: Position, destination: Position, mesh: MeshParams) -> list[tuple[Position, Port]]:
    """Routers of a unicast packet in order, each with the port it leaves by."""
    at = entrance(source, mesh)
    hops = []
    while True:
        port = next_port(at, destination, mesh)
        hops.append((at, port))
        if port is Port.LOCAL:
            return hops
        at = neighbour(at, port)
        if not is_core(at, mesh):
            return hops


def tree(source: Position, destinations: Iterable[Position], mesh: MeshParams,
         ) -> dict[Position, int]:
    """Port mask of each router of a multicast tree: the union of the unicast paths."""
    ports: dict[Position, int] = {}
    for destination in destinations:
        for at, port in path(source, destination, mesh):
            ports[at] = ports.get(at, 0) | 1 << port
    if not ports:
        raise ValueError("destinations must be at least one position, not none")
    return ports


def labels_for(groups: Sequence[tuple[Position, Iterable[Position]]], mesh: MeshParams,
               labels: int) -> Labels:
    """Label of each multicast group (source, destinations).

    Groups whose trees share no router may share a label, and so do groups with the same tree.
    Large trees choose first.

    Parameters
    ----------
    groups : Sequence[tuple[Position, Iterable[Position]]]
        Source and destinations.
    labels : int
        Entries of a router's table (``NocParams.labels``); label 0 is not for use.

    Raises
    ------
    LabelError
        If a group finds no label.
    """
    trees = [tree(source, destinations, mesh) for source, destinations in groups]
    entries: dict[Position, dict[int, int]] = {}
    known: dict[frozenset[tuple[Position, int]], int] = {}
    numbers = [0] * len(trees)
    for n in sorted(range(len(trees)), key=lambda n: -len(trees[n])):
        key = frozenset(trees[n].items())
        if key not in known:
            used = {label for at in trees[n] for label in entries.get(at, ())}
            label = next((label for label in range(1, labels) if label not in used), None)
            if label is None:
                at = max(trees[n], key=lambda at: len(entries.get(at, ())))
                raise LabelError(
                    f"multicast groups must fit {labels - 1} labels: no label is left for group "
                    f"{n} from {groups[n][0]} ({len(trees[n])} routers; router {at} alone has "
                    f"{len(entries.get(at, ()))} labels in use)")
            known[key] = label
            for at, mask in trees[n].items():
                entries.setdefault(at, {})[label] = mask
        numbers[n] = known[key]
    return Labels(tuple(numbers), entries)


def _check(what: str, position: Position, mesh: MeshParams) -> None:
    if not is_core(position, mesh) and not is_edge(position, mesh):
        raise ValueError(f"{what} must be a core or an edge port of the {mesh.width} x "
                         f"{mesh.height} mesh, not {position!r}")
