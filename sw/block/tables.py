"""What a core's tables must hold for a graph: counted without addresses, refused as the mapper
refuses it.

Labels of multicast trees are not in it: they depend on where cores lie.
"""

from collections import defaultdict

from ouroboros.hw.params.packet import Unit
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.graph import Graph
from ouroboros.sw.block.limits import CoreLimits
from ouroboros.sw.block.sizes import divide
from ouroboros.sw.block.stage import BlockStage
from ouroboros.sw.block.tensors import width

__all__ = ["CONSTANTS", "check_tables", "core_tables"]

CONSTANTS = {"exp": 1, "silu": 1, "sigmoid": 0, "high": 1, "norm1": 4, "norm2": 4,
             "norm_final": 4}
"""Parameters that are no multipliers of channels, and how many numbers each has."""
NAMES = {Unit.PROGRAM: "program words", Unit.CREDIT_LIST: "credit list entries",
         Unit.CREDIT: "credit counters", Unit.DEST: "destinations", Unit.PARAM: "parameter words"}


def core_tables(graph: Graph) -> dict[Position, dict[Unit, int]]:
    """Entries of every core's tables."""
    found: dict[Position, dict[Unit, int]] = {
        core: dict.fromkeys(NAMES, 0) for core in graph.layout.cores}
    dests: dict[Position, set[object]] = defaultdict(set)
    for stage in graph.stages:
        core = stage.info.core
        table = found[core]
        table[Unit.PROGRAM] += len(stage.steps)
        table[Unit.CREDIT_LIST] += len(stage.owners)
        table[Unit.PARAM] += _param_words(graph, stage)
        for n, step in enumerate(stage.steps):
            if step.flow is None:
                continue
            table[Unit.CREDIT] += len(step.flow.reserve)
            # Counters are a SEND's own, so an entry that takes credits is too.
            dests[core].add((step.flow.targets, step.flow.operand,
                             n if step.flow.reserve else None,
                             stage.info.index if step.flow.reserve else None))
    for core, entries in dests.items():
        found[core][Unit.DEST] = len(entries)
    return found


def _param_words(graph: Graph, stage: BlockStage) -> int:
    params = {step.param for step in stage.steps if step.param is not None}
    return sum(divide(CONSTANTS.get(param.name) or width(param.channels),
                      graph.machine.core.lanes) for param in params)


def check_tables(graph: Graph) -> None:
    """Refuse a graph whose tables a core of the machine has no room for.

    Raises
    ------
    BlockError
        Names the first core and table.
    """
    core = graph.machine.core
    most = {Unit.PROGRAM: core.program_words, Unit.CREDIT_LIST: core.credit_list_words,
            Unit.CREDIT: core.credits, Unit.DEST: core.dests, Unit.PARAM: core.param_words}
    for place, table in core_tables(graph).items():
        limits = CoreLimits(graph.machine, place)
        for unit, need in table.items():
            limits.check(NAMES[unit], need, most[unit])
