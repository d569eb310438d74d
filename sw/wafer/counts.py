"""Events of a run: those of a token by its context, times the tokens of that context.

Units are counted from the programs of all stages of a block, with the functions that are held equal
to the hardware's counters (``sw.perf.events``). Flits are those of the ports; how far they go is an
assumption, as for time.
"""

from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from operator import add

import numpy as np

from ouroboros.hw.params.cim import ACTIVATION_BITS
from ouroboros.hw.params.isa import Op
from ouroboros.sw.block.costs import port_loads
from ouroboros.sw.block.stage import BlockStage
from ouroboros.sw.energy.events import Events
from ouroboros.sw.perf.events import unit_events
from ouroboros.sw.program.image import Token
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.run import Run

__all__ = ["TokenEvents", "run_events", "token_events"]


@dataclass(frozen=True, slots=True)
class TokenEvents:
    """Events of one token of each context."""

    fixed: Events
    """Whatever the context."""
    first_block: tuple[Events, ...]
    """On top, while all of a token's context lies in one KV block: by tokens of it, from 1."""
    block: Events
    """On top of that, for every whole KV block before the token's own."""

    def at(self, context: int) -> Events:
        """Of a token that attends to so many tokens, itself included."""
        blocks, rest = divmod(context - 1, len(self.first_block))
        return self.fixed + self.first_block[rest] + self.block * blocks


@lru_cache(maxsize=8)
def token_events(wafer: Wafer) -> TokenEvents:
    """Events of all blocks, embedding and head."""
    graph, size = wafer.graph, wafer.machine.block_tokens
    blocks = [stage for stage in graph.stages if stage.info.layer == 0]
    ends = [stage for stage in graph.stages if stage.info.layer < 0]
    layers = wafer.shape.n_layers
    fixed = (_all([_units(wafer, s, 1) + _other(wafer, s) for s in blocks if s.kv is None]) * layers
             + _all([_other(wafer, s) for s in blocks if s.kv is not None]) * layers
             + _all([_units(wafer, s, 1) + _other(wafer, s) for s in ends])
             + _flits(wafer, blocks) * layers + _flits(wafer, ends))
    heads = [stage for stage in blocks if stage.kv is not None]
    # Heads are alike, so one of them is counted.
    home = next(stage for stage in heads if not (stage.kv or {})["member"])
    group = next(cores for cores in graph.layout.blocks[0].kv if cores[0] == home.info.core)
    head = [stage for stage in heads if stage.info.core in group]
    times = layers * len(graph.layout.blocks[0].kv)

    def attention(context: int) -> Events:
        return _all([_units(wafer, stage, context) for stage in head]) * times

    first = tuple(attention(context) for context in range(1, size + 1))
    crossings = (wafer.wafers - 1) * wafer.wafer_flits
    return TokenEvents(replace(fixed, tokens=1, wafer_crossings=crossings), first,
                       _minus(attention(size + 1), first[0]))


def run_events(wafer: Wafer, run: Run) -> Events:
    """Events of all tokens of a run."""
    one, tokens = token_events(wafer), run.by_context
    contexts = np.flatnonzero(tokens)
    blocks, rests = np.divmod(contexts - 1, len(one.first_block))
    counts = tokens[contexts]
    total = one.fixed * int(counts.sum()) + one.block * int((blocks * counts).sum())
    for rest in np.unique(rests):
        total += one.first_block[rest] * int(counts[rests == rest].sum())
    return replace(total, cycles=run.cycles, tokens=int(counts.sum()),
                   tokens_recomputed=run.recomputed, tokens_out=int(run.generated.sum()))


def _all(events: list[Events]) -> Events:
    return reduce(add, events, Events())


def _minus(one: Events, other: Events) -> Events:
    return one + other * -1


def _units(wafer: Wafer, stage: BlockStage, context: int) -> Events:
    """Array, KV writes, SFU."""
    machine = wafer.machine
    count = unit_events(machine, stage.costed(), Token(context - 1))
    reads = count["array_group_cycles"] // ACTIVATION_BITS
    cim = machine.cim
    return Events(
        array_reads=reads, array_group_cycles=count["array_group_cycles"],
        macs=reads * cim.active_rows * cim.outputs, kv_rows_written=count["row_writes"],
        kv_bytes_written=count["byte_writes"], sfu_elements=count["sfu_elements"])


def _other(wafer: Wafer, stage: BlockStage) -> Events:
    """Buffers and partial sums: no context changes them, as K and V are no buffers."""
    machine = wafer.machine
    flit, read, sums = machine.noc.flit_bits // 8, 0, 0
    for step in stage.steps:
        i = step.instruction
        if not i.runs(0):
            continue
        if i.op is Op.LOAD:
            read += i.fields["length"]
        elif i.op is Op.SEND:
            read += i.fields["flits"] * flit
        elif i.op is Op.MVM:
            sums += i.fields["macros"].bit_count() * machine.cim.outputs
    return Events(buffer_bytes=read, partial_sums=sums)


def _flits(wafer: Wafer, stages: list[BlockStage]) -> Events:
    """Flits of stages' ports and what they come to on their ways."""
    machine = wafer.machine
    loads = port_loads(machine, wafer.graph.stages)
    out = sum(loads[stage.key].flits_out for stage in stages)
    received = sum(loads[stage.key].flits_in for stage in stages)
    return Events(
        buffer_bytes=received * machine.noc.flit_bits // 8, flits=out,
        flit_hops=out * wafer.hops,
        die_crossings=round(out * wafer.value("die_crossings_per_way")))
