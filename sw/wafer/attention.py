"""Attention by context: how long a token holds the cores of a KV head, and is under way there.

All that depends on the context happens between the cores of one head, and none of them starts
before all its vectors are there. So one head's cores are walked by themselves, at some contexts,
and moved to where the whole block's walk has them; times in between lie on straight lines.
"""

from dataclasses import dataclass, replace

import numpy as np

from ouroboros.hw.params.position import Position
from ouroboros.sw.block.costs import stage_costs
from ouroboros.sw.block.graph import Graph
from ouroboros.sw.block.latency import walk_graph
from ouroboros.sw.block.stage import BlockStage, Step
from ouroboros.sw.perf.cycles import holds
from ouroboros.sw.program.image import Token
from ouroboros.sw.program.program import EmbedTarget
from ouroboros.sw.wafer.chain import Ints

__all__ = ["Attention", "attention_times", "head_of", "sampled"]

STEP = 64
"""Contexts between samples; the first two and the last of every KV block are samples, too."""


@dataclass(frozen=True, slots=True)
class Attention:
    """By tokens that a token attends to, itself included: ``(contexts + 1,)``, 0 unused."""

    hold: Ints
    """Cycles of the busiest unit of any of the head's cores."""
    way: Ints
    """Cycles from the last vector of q, k, v to the end of the home."""


def head_of(graph: Graph, walk: dict[tuple[Position, int], int]) -> tuple[BlockStage, ...]:
    """Cores of the head of block 1 whose home ends last; ``walk``: ends by stage."""
    homes = {stage.key: stage for stage in graph.stages
             if stage.kv is not None and stage.info.layer == 1 and not stage.kv["member"]}
    last = max(homes, key=lambda key: walk[key])
    group = next(cores for cores in graph.layout.blocks[1].kv if cores[0] == last[0])
    return tuple(stage for stage in graph.stages
                 if stage.kv is not None and stage.info.core in group)


def sampled(contexts: int, block: int) -> Ints:
    """Contexts that are walked."""
    firsts = range(1, contexts + 1, block)
    every = {*range(1, contexts + 1, STEP), contexts, *firsts, *(first + 1 for first in firsts),
             *(first - 1 for first in firsts)}
    return np.array(sorted(c for c in every if 1 <= c <= contexts), np.int64)


def attention_times(graph: Graph, head: tuple[BlockStage, ...], contexts: int,
                    way_cycles: int) -> Attention:
    """Times of one head's cores.

    Parameters
    ----------
    graph : Graph
        Blocks that the head belongs to.
    head : tuple of BlockStage
        Its home and members.
    contexts : int
        Longest context.
    way_cycles : int
        From a core to another.
    """
    alone = _alone(graph, head)
    loads = {cost.stage.key: cost.port for cost in stage_costs(
        graph.machine, graph.stages, Token(0), head)}
    port = max(max(load.flits_in, load.flits_out, load.multicast) for load in loads.values())
    at = sampled(contexts, graph.machine.block_tokens)
    hold, way = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
    home = next(stage.key for stage in head if stage.kv is not None and not stage.kv["member"])
    for n, context in enumerate(at):
        token = Token(int(context) - 1)
        keeper = token.position // graph.machine.block_tokens % len(head)
        units = port
        for stage in head:
            assert stage.kv is not None, "a head's cores hold K and V"
            # Whoever keeps the token's own block has most to do; that may be the home.
            if stage.key == home or stage.kv["member"] == keeper:
                for member in {stage.kv["member"], keeper}:
                    costed = replace(stage, kv=stage.kv | {"member": member}).costed()
                    held = holds(graph.machine, costed, token)
                    units = max(units, held.array, held.sfu_and_drain, held.send, held.dispatch)
        hold[n] = units
        way[n] = walk_graph(alone, token, way_cycles).stages[home].end
    every = np.arange(contexts + 1)
    return Attention(hold=_between(every, at, hold), way=_between(every, at, way))


def _between(every: Ints, at: Ints, values: Ints) -> Ints:
    """Straight lines, rounded up."""
    found = np.ceil(np.interp(every, at, values) - 1e-9).astype(np.int64)
    found[0] = 0
    return found


def _alone(graph: Graph, head: tuple[BlockStage, ...]) -> Graph:
    """The head's cores, fed by the host, with the host behind them."""
    own = {stage.key for stage in head}
    host = (graph.machine.host, 0)

    def inside(step: Step) -> Step:
        if step.flow is None or set(step.flow.targets) <= own:
            return step
        return replace(step, flow=replace(step.flow, targets=(host,), reserve=()))

    stages = tuple(replace(stage, steps=tuple(map(inside, stage.steps))) for stage in head)
    return replace(graph, stages=stages, embed=tuple(
        EmbedTarget(core=stage.info.core, stage=stage.info.index, first=0, channels=1,
                    rope_offset=-1, counter=0, slots=1) for stage in stages))
