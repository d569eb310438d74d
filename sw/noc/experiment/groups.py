"""Multicast groups of a trace and their labels, as the host would write them into the routers."""

from dataclasses import dataclass

from ouroboros.hw.params.position import Position
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import LabOptions, TracePacket
from ouroboros.sw.noc.routes.xy import LabelError, labels_for

__all__ = ["Group", "Groups", "group_of", "groups_of"]

Group = tuple[int, frozenset[int]]
"""Node id of the source, and those of the targets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """What a trace needs for multicast; empty if it has none."""

    labels: dict[Group, int]
    """Label of each group."""
    entries: dict[int, dict[int, int]]
    """Port mask by label of each node's router that has any."""


def group_of(packet: TracePacket) -> Group:
    """Packets of a group share a label."""
    return packet.source, frozenset(packet.targets)


def groups_of(options: LabOptions) -> Groups:
    """Groups of the trace of an experiment.

    Raises
    ------
    NocError
        If a router has too few labels for them.
    """
    first: dict[Group, TracePacket] = {}
    for packet in options.trace:
        if packet.targets:
            first.setdefault(group_of(packet), packet)
    if not first:
        return Groups(labels={}, entries={})

    width, labels = options.mesh.width, options.noc.labels

    def position(node: int) -> Position:
        return node % width + 1, node // width + 1

    trees = [(position(source), [position(node) for node in sorted(targets)])
             for source, targets in first]
    try:
        found = labels_for(trees, options.mesh, labels)
    except LabelError as error:
        raise NocError(f"the trace's {len(first)} multicast groups must fit the {labels} "
                       f"labels of a router (labels): {error}") from None
    entries = {x - 1 + width * (y - 1): table for (x, y), table in found.entries.items()}
    return Groups(labels=dict(zip(first, found.numbers, strict=True)), entries=entries)
