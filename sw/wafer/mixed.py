"""A model on a wafer whose KV cores are of another kind than those of its weights.

Both halves are wafers of one kind that share a layout: attention, its slots, and the room for KV
are those of the one, everything else is that of the other. Flits are equally wide in both.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.blocks import LayerWays, model_chain
from ouroboros.sw.wafer.chain import Chain
from ouroboros.sw.wafer.estimate import StageTime, Wafer
from ouroboros.sw.wafer.service import Service

__all__ = ["MixedService", "MixedWafer"]

ATTENTION = "attention"


class MixedWafer:
    """Time and room of a model on cores of two kinds.

    Parameters
    ----------
    weights : Wafer
        The model as if all cores were of the kind that holds weights.
    kv : Wafer
        The same as if all were of the kind that holds K and V.
    layers : Mapping, optional
        What the place of a block adds to its cells; see ``LayerWays``.

    Raises
    ------
    PerfError
        If the two differ in model, context, members, flits, or tokens of a KV block.
    """

    def __init__(self, weights: Wafer, kv: Wafer,
                 layers: Mapping[int, LayerWays] | None = None):
        for name, one, other in (
                ("model", weights.shape, kv.shape), ("context", weights.context, kv.context),
                ("members", weights.members, kv.members),
                ("heads of a KV core", weights.count.kv_heads, kv.count.kv_heads),
                ("noc.flit_bits", weights.machine.noc.flit_bits, kv.machine.noc.flit_bits),
                ("cim.outputs", weights.machine.block_tokens, kv.machine.block_tokens)):
            if one != other:
                raise PerfError(f"{name} must be the same for the cores of weights and of KV, "
                                f"not {one} and {other}")
        self.weights, self.kv, self.layers = weights, kv, layers or {}

    @cached_property
    def chain(self) -> Chain:
        """Cells of all blocks: attention of the KV kind, the others of the weights' kind.

        A window between cells of both kinds has the fewer slots and the later return of the two.
        """
        ours = model_chain(self.weights, self.layers)
        if self.weights.machine == self.kv.machine:
            return ours
        theirs = model_chain(self.kv, self.layers)
        cells = tuple(other if cell.context else cell
                      for cell, other in zip(ours.cells, theirs.cells, strict=True))
        windows = {(one.name, one.first, one.last): one for one in theirs.windows}
        for one in ours.windows:
            key = one.name, one.first, one.last
            other = windows.get(key, one)
            windows[key] = replace(one, slots=min(one.slots, other.slots),
                                   back=max(one.back, other.back))
        return Chain(cells, tuple(windows.values()), theirs.hold_at, theirs.way_at,
                     first_block=ours.first_block, last_block=ours.last_block,
                     block_cells=ours.block_cells)

    @property
    def latency_cycles(self) -> int:
        """Of one token at the context, the machine being empty."""
        ours, theirs = self.weights, self.kv
        attention = theirs.block_latency[ATTENTION] - ours.block_latency[ATTENTION]
        return (ours.latency_cycles + ours.shape.n_layers * attention
                + sum(sum(one.way.values()) for one in self.layers.values()))

    @property
    def slowest(self) -> StageTime:
        """The kind of stage that binds."""
        times = [*(time for time in self.weights.times if not _of_kv(time)),
                 *(time for time in self.kv.times if _of_kv(time))]
        return max(times, key=lambda time: time.cycles + self._more(time))

    def _more(self, time: StageTime) -> int:
        return max((one.hold.get(time.name, 0) for one in self.layers.values()), default=0)

    @property
    def interval_cycles(self) -> int:
        """Least cycles between tokens."""
        return self.slowest.cycles + self._more(self.slowest)

    @property
    def sequences(self) -> int:
        """Sequences at the context that can be alive."""
        return self.kv.sequences

    @property
    def decode_tokens_per_s(self) -> float:
        """All sequences that fit, each waiting for its own last token."""
        hz = self.weights.clock_hz
        return min(hz / self.interval_cycles, self.sequences * hz / self.latency_cycles)


class MixedService(Service):
    """The same that serves requests; parameters are those of ``Service``."""

    def __init__(self, mixed: MixedWafer, **policy: int | bool | str):
        super().__init__(mixed.kv, **policy)  # type: ignore[arg-type]
        self.mixed = mixed

    @cached_property
    def chain(self) -> Chain:
        """The machine as tokens see it."""
        return self.mixed.chain


def _of_kv(time: StageTime) -> bool:
    """Rows of a KV core, parts of attention among them."""
    return time.name.startswith((ATTENTION, " "))
