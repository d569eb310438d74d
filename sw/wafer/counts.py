"""Events of a run: those of a token by its context, times the tokens of that context.

A token's events are those of ``sw.energy.count``, units and network alike; how far flits go and how
many borders they cross is an assumption, as for time.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ouroboros.hw.params.packet import Flag
from ouroboros.sw.energy.count import Ways, model_events, stage_units
from ouroboros.sw.energy.events import Events
from ouroboros.sw.program.image import Token
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.run import Run

__all__ = ["TokenEvents", "run_events", "token_events", "ways_of"]


@dataclass(frozen=True, slots=True)
class TokenEvents:
    """Events of one token of each context."""

    fixed: Events
    """Whatever the context, of a token of a prompt but its last."""
    head: Events
    """On top, of a token that makes another one."""
    first_block: tuple[Events, ...]
    """On top, while all of a token's context lies in one KV block: by tokens of it, from 1."""
    whole: tuple[Events, ...]
    """On top of that, for KV blocks before the token's own: by their number, from 0. No multiple of
    one: members hand over sums of as many blocks of V as they have macros, and no more."""

    def at(self, context: int) -> Events:
        """Of a token that attends to so many tokens, itself included, and makes another one."""
        blocks, rest = divmod(context - 1, len(self.first_block))
        return self.outside_attention(1, 1) + self.first_block[rest] + self.whole[blocks]

    def outside_attention(self, tokens: int, generated: int) -> Events:
        """Of tokens whatever their contexts, of which some make another one."""
        return self.fixed * tokens + self.head * generated


def ways_of(wafer: Wafer) -> Ways:
    """Links and borders of a flit, as the wafer model assumes them for time.

    A way without links crosses no border.
    """
    return Ways(hops=wafer.hops,
                borders=wafer.value("die_crossings_per_way") / max(wafer.hops, 1))


@lru_cache(maxsize=8)
def token_events(wafer: Wafer) -> TokenEvents:
    """Events of all blocks, embedding and head, up to the wafer's context."""
    graph, size, layers = wafer.graph, wafer.machine.block_tokens, wafer.shape.n_layers
    # Heads are alike, so one of them is counted.
    groups = graph.layout.blocks[0].kv
    head = [stage for stage in graph.stages
            if stage.kv is not None and stage.info.core in groups[0]]

    def attention(context: int) -> Events:
        token = Token(context - 1)
        return sum((stage_units(graph, stage, token) for stage in head), Events()) * (
            layers * len(groups))

    first = tuple(attention(context) for context in range(1, size + 1))
    whole = tuple(attention(blocks * size + 1) + first[0] * -1
                  for blocks in range(-(-wafer.context // size)))
    quiet, loud = (model_events(graph, layers, Token(0, flags), ways_of(wafer))
                   for flags in (int(Flag.QUIET), 0))
    fixed = replace(quiet, wafer_crossings=(wafer.wafers - 1) * wafer.wafer_flits)
    return TokenEvents(fixed + first[0] * -1, loud + quiet * -1, first, whole)


def run_events(wafer: Wafer, run: Run) -> Events:
    """Events of all tokens of a run."""
    one, tokens = token_events(wafer), run.by_context
    contexts = np.flatnonzero(tokens)
    blocks, rests = np.divmod(contexts - 1, len(one.first_block))
    counts = tokens[contexts]
    total = one.outside_attention(int(counts.sum()), int(run.generated.sum()))
    for parts, numbers in ((one.first_block, rests), (one.whole, blocks)):
        for n in np.unique(numbers):
            total += parts[n] * int(counts[numbers == n].sum())
    if wafer.shape.kind == "encoder":
        total += _waiting(wafer, int(counts.sum()))
    return replace(total, cycles=run.cycles, tokens_recomputed=run.recomputed)


def _waiting(wafer: Wafer, tokens: int) -> Events:
    """Residuals on their way from where they wait to their projections."""
    sent, ways = tokens * wafer.shape.n_layers * wafer.waiting_flits, ways_of(wafer)
    hops = round(sent * ways.hops)
    return Events(flits=sent, flit_hops=hops, die_crossings=round(hops * ways.borders),
                  buffer_bytes=2 * sent * wafer.machine.noc.flit_bits // 8)
