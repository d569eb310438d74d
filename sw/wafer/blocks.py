"""The chain of a model on a wafer: cells and windows of every block, from the estimate's stages.

A kind of stage is a cell: held for as long as its busiest core's busiest unit, passed in the time
of the longest path through it. Slots are windows, from where they are reserved to the END of their
stage; those that another one implies are left out. The busiest link of the mesh is a cell of its
own in every block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ouroboros.hw.params.timing.control import ACCEPT_CYCLES
from ouroboros.hw.params.timing.network import CREDIT_CYCLES
from ouroboros.sw.block.costs import stage_costs
from ouroboros.sw.wafer.attention import attention_times, head_of
from ouroboros.sw.wafer.chain import Cell, Chain, Window
from ouroboros.sw.wafer.estimate import Wafer

__all__ = ["KINDS", "SPANS", "LayerWays", "model_chain"]

KINDS = ("norm 1", "mesh", "QKV", "attention", "projection", "norm 2", "up/gate", "down")
"""Cells of a block, in order; a last norm follows the last block."""
NEXT = len(KINDS)
"""The norm of the next block."""
SPANS = {"QKV": (0, 2), "attention, home": (2, 3), "attention, member": (2, 3),
         "projection": (0, 5), "norm 2": (0, 5), "up/gate": (5, 6), "down": (5, NEXT),
         "norm 1": (5, NEXT)}
"""Kinds of stage: cells between which a token has a slot of one. It is reserved by the norm before
it, or by QKV; whoever reserves keeps its own slots until it has."""


@dataclass(frozen=True, slots=True)
class LayerWays:
    """What a block's own place adds to the cells of the average one."""

    way: Mapping[str, int]
    """Cycles by kind of cell; may be negative."""
    hold: Mapping[str, int]
    """The same."""


class _Span(NamedTuple):
    """A window within a block."""

    first: int
    last: int
    slots: int
    back: int


def model_chain(wafer: Wafer, layers: Mapping[int, LayerWays] | None = None,
                between: Mapping[str, tuple[int, int]] = SPANS) -> Chain:
    """Every cell from the host and back.

    Parameters
    ----------
    wafer : Wafer
        The model; its context is the longest that any token may have.
    layers : mapping, optional
        Of blocks that differ from the others, by number.
    between : mapping
        Cells between which a token has a slot, by kind of stage; see ``SPANS``.
    """
    attention = attention_times(
        wafer.graph, head_of(wafer.graph, {key: one.end for key, one in wafer.walk.stages.items()}),
        wafer.context, wafer.way_cycles)
    latency, hold = wafer.block_latency, _holds(wafer)
    # The table has the ways of one head from its vectors on; the cell's begins with the last of
    # any head's.
    shift = latency["attention"] - int(attention.way[wafer.context])
    cells, windows = [_embedding(wafer)], [_credits(wafer)]
    spans = _spans(wafer, latency, between)
    link, link_way = wafer.crossing
    for layer in range(wafer.shape.n_layers):
        own = (layers or {}).get(layer, LayerWays({}, {}))
        first = len(cells)
        for kind in KINDS:
            context = kind == "attention"
            way = shift if context else latency.get(kind, 0)
            cells.append(Cell(f"{kind} {layer}", hold.get(kind, 0) + own.hold.get(kind, 0),
                              way + own.way.get(kind, 0), context))
        # Behind a wafer's last block, slots of the next norm are taken, and come back, over the
        # link between the two.
        crosses = layer + 1 < wafer.shape.n_layers and not (layer + 1) % wafer.wafer_layers
        if crosses:
            cells.append(Cell(f"wafer link {layer}", link, link + link_way))
        windows += [Window(f"slots of {kind} {layer}", first + a,
                           first + b + (crosses and b == NEXT), slots,
                           back + link_way * (crosses and b == NEXT))
                    for kind, (a, b, slots, back) in spans.items()]
    blocks = len(KINDS)
    ends = {"first_block": 1 + blocks, "last_block": len(cells) - blocks, "block_cells": blocks}
    cells.append(Cell("last norm", hold.get("norm 1", 0), latency["norm 1"]))
    return Chain((*cells, *_head(wafer, hold)), tuple(windows), attention.hold, attention.way,
                 **ends)


def _holds(wafer: Wafer) -> dict[str, int]:
    """Cycles of every kind's busiest unit; slots of blocks are windows. Attention is a table."""
    return {time.name: max(cycles for unit, cycles in time.units.items()
                           if unit != "slots" or time.name.startswith("LM head"))
            for time in wafer.times if not time.name.startswith(("attention", " "))}


def _spans(wafer: Wafer, latency: Mapping[str, int],
           between: Mapping[str, tuple[int, int]]) -> dict[str, _Span]:
    """Windows of a block by kind; ``first`` and ``last`` count from its first cell."""
    back = CREDIT_CYCLES + wafer.way_cycles + ACCEPT_CYCLES
    loops: dict[str, tuple[int, int]] = {}
    for stage in wafer.graph.stages:
        kind = wafer.kind(stage)
        if kind in SPANS and stage.info.layer >= 0 and stage.key in wafer.walk.reserved:
            loop = wafer.walk.stages[stage.key].end - wafer.walk.reserved[stage.key] + back
            # Of several alike, the one with fewer slots, or that takes longer.
            found = stage.info.slots, -loop
            loops[kind] = min(loops.get(kind, found), found)
    spans = {}
    for kind, (slots, loop) in loops.items():
        # A slot that is taken at a later cell comes back no sooner behind its last one.
        back = -loop - _ways(latency, SPANS[kind][0], SPANS[kind][1] + 1)
        first, last = between[kind]
        spans[kind] = _Span(first, last, slots, back)
    return {kind: one for kind, one in spans.items()
            if not any(_implied(one, other, latency) for name, other in spans.items()
                       if name != kind and (one != other or name < kind))}


def _ways(latency: Mapping[str, int], first: int, stop: int) -> int:
    """Cycles through cells of a block, the first of the next one included."""
    return sum(latency.get((*KINDS, KINDS[0])[n], 0) for n in range(first, stop))


def _implied(one: _Span, other: _Span, latency: Mapping[str, int]) -> bool:
    """Whether a window never binds because another one with the same beginning does first."""
    behind = _ways(latency, one.last + 1, other.last + 1)
    return (one.first == other.first and other.slots <= one.slots and other.last >= one.last
            and behind + other.back >= one.back)


def _embedding(wafer: Wafer) -> Cell:
    """What comes before the first norm."""
    stages = [stage for stage in wafer.graph.stages if stage.info.kind == "embed"]
    costs = stage_costs(wafer.graph.machine, wafer.graph.stages, wafer.token, stages)
    ways = wafer.block_latency
    between = (wafer.wafers - 1) * sum(wafer.crossing)
    lead = (wafer.latency_cycles - wafer.shape.n_layers * sum(ways.values()) - wafer.head_cycles
            - between)
    return Cell("embedding", max(cost.cycles for cost in costs), max(0, lead - ways["norm 1"]))


def _credits(wafer: Wafer) -> Window:
    """Slots of the embedding, whose credits the host takes; its norm keeps them, too."""
    back = CREDIT_CYCLES + wafer.way_cycles + ACCEPT_CYCLES
    return Window("credits of the host", 0, 1, min(one.slots for one in wafer.graph.embed), back)


def _head(wafer: Wafer, hold: Mapping[str, int]) -> tuple[Cell, ...]:
    """Behind the last block; what has no time of its own is part of the first cell."""
    if "LM head" not in hold:
        return (Cell("result", 0, wafer.head_cycles),)
    return (Cell("LM head", hold["LM head"], wafer.head_cycles),
            Cell("LM head, argmax", hold.get("LM head, argmax", 0), 0))
