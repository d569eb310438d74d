"""Destination lists around faults: multicast where a live XY tree allows it, unicast elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hw.params.noc import NocParams
from sw.golden.noc.route import labels_for
from sw.noc.errors import NocError
from sw.noc.faults import Position
from sw.noc.labels import check_labels
from sw.noc.routing import Routes

__all__ = ["Destination", "Group", "Plan", "plan_destinations"]

Group = tuple[Position, Sequence[Position]]
"""Source and destinations of the same packets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """What routing needs of one entry of a destination list."""

    ends: tuple[Position, ...]
    """Whom it reaches; one, unless it is multicast."""
    label: int
    """Label of a multicast tree; 0 for unicast."""
    route_class: int
    """Of ``sw.noc.routing.Route``; 0 for multicast."""
    way: tuple[int, int]
    """Header fields ``way_x``, ``way_y``."""
    vc: int
    """Channel on which packets enter the network, the first of their class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Destination lists of groups and what the routers' label tables must hold for them."""

    lists: tuple[tuple[Destination, ...], ...]
    """Of each group: the multicast entry first, if there is one."""
    labels: dict[Position, dict[int, int]]
    """Port mask by label, for each router that has any."""


def plan_destinations(routes: Routes, noc: NocParams, groups: Iterable[Group]) -> Plan:
    """Entries for all groups.

    Destinations that the source reaches by XY share a multicast tree if there are two or more of
    them; all others get unicast entries of their class.

    Raises
    ------
    NocError
        If a place is dead or does not exist, a group has no destination or one twice, or the
        network has no channel for a class.
    LabelError
        If the labels run out.
    """
    plans: list[tuple[Position, list[Position], list[Destination]]] = []
    for number, (source, ends) in enumerate(groups):
        if not ends or len(set(ends)) < len(ends):
            raise NocError(f"group {number} must have destinations, each once, not {list(ends)!r}")
        found = {end: routes.route(source, end) for end in ends}
        straight = [end for end in ends if found[end].route_class == 0]
        if len(straight) < 2:
            straight = []
        plans.append((source, straight, [
            Destination(ends=(end,), label=0, route_class=route.route_class, way=route.way,
                        vc=_entry_channel(noc, route.route_class))
            for end, route in found.items() if end not in straight]))
    trees = [(source, straight) for source, straight, _ in plans if straight]
    labels = labels_for(trees, routes.mesh, noc.labels) if trees else None
    numbers = iter(labels.numbers if labels else ())
    lists = tuple(
        (*([Destination(ends=tuple(straight), label=next(numbers), route_class=0, way=(0, 0),
                        vc=_entry_channel(noc, 0))] if straight else []), *unicast)
        for _, straight, unicast in plans)
    entries = labels.entries if labels else {}
    check_labels(entries, routes.live)
    return Plan(lists=lists, labels=entries)


def _entry_channel(noc: NocParams, route_class: int) -> int:
    """Packets with a waypoint enter on class 0."""
    if not len(noc.class_channels(route_class)):
        raise NocError(f"network must have channels of class {route_class} (class{route_class}_vcs "
                       f"over 0): some destinations are behind faults")
    return noc.class_channels(0 if route_class == 1 else route_class)[0]
