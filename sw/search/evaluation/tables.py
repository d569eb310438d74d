"""An instance as the kernels read it: flat arrays of whole numbers, times without rounding.

The unit of time is the longest of which every time is a whole number: link loads are multiples of
a byte over the DRAM ports, DRAM accesses multiples of a byte. So sums need no rounding, and two
layers that start together do so in any order of the additions.
"""

from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.mesh import Mesh
from ouroboros.sw.search.problem.costs import Moved, OnKind, moved, on_kind
from ouroboros.sw.search.problem.instance import Instance
from ouroboros.sw.search.problem.layers import NONE, STAGES, Ints, Layers

__all__ = ["KEY_BITS", "Floats", "Ints32", "Problem", "Tables"]

Floats = npt.NDArray[np.float64]
Ints32 = npt.NDArray[np.int32]
KEY_BITS = 8
"""Bits of a chip's number, below a start time in one whole number."""
UNITS_MAX = 1 << (62 - KEY_BITS)


class Tables(NamedTuple):
    """Arrays by node (``layer + layers * micro-batch``), row (``stage + stages * micro-batch``;
    all tiles of a stage cost the same), layer or chip.
    """

    row: Ints32
    """Row of a node, ``(nodes,)``."""
    whole: Ints32
    """Row of the stage that a node reads as a whole, ``(nodes,)``."""
    single: Ints32
    """Node that a node reads besides, ``(nodes,)``."""
    last_reader: Ints32
    """Last layer that reads a layer, ``(layers,)``."""
    sizes: Ints
    """Tiles, ``(rows,)``."""
    kind: Ints
    """Kind of a chip, ``(chips,)``."""
    bytes: Ints
    """``(rows, 8)``: weights, KV read, KV written, given, from each, from single, output beside
    new KV, and 1 where the output is the result."""
    cost: Ints
    """``(rows, kinds, 8)``: time units, reads of inputs, reads of weights, 1 where the weights are
    kept, 1 where the output may stay in the buffer; three of no meaning."""
    energy: Floats
    """``(rows, kinds)``, pJ."""
    tail: Ints
    """Time units from a node's end to that of the last node, at least, ``(rows,)``."""
    mesh: Mesh
    """Links."""
    link_units: int
    """Time of one byte on a link, divided by the DRAM ports."""
    dram_units: int
    """Time of one byte in DRAM."""
    e_hop: float
    """Energy of a byte over a link."""
    e_dram: float
    """Energy of a byte in DRAM."""


class Problem:
    """An instance with its layers and tables.

    Raises
    ------
    SearchError
        If times are too large for whole numbers of 64 bits.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance, self.layers = instance, Layers(instance)
        ports = 2 * instance.grid[1]
        link = ports * Fraction(str(instance.link_bw))
        dram = instance.dram_channels * Fraction(str(instance.dram_bw))
        self.units = lcm(link.numerator, dram.numerator)
        """Time units of a cycle."""
        self.link_units = int(self.units / link)
        self.dram_units = int(self.units / dram)
        tiles = int(self.layers.sizes.max())
        cycles = sum(max(cost.cycles for cost in costs) for _, costs in self.work)
        bytes_ = sum((one.weights + one.given + one.from_single + one.from_each * tiles)
                     * max(max(cost.input_reads, cost.weight_reads) for cost in costs)
                     + one.kv_read + one.output for one, costs in self.work)
        longest = cycles * self.units + bytes_ * (ports * self.link_units + self.dram_units)
        if tiles * longest >= UNITS_MAX:
            raise SearchError(f"{instance.name}: times must be below 2**{62 - KEY_BITS} units of "
                              f"1/{self.units} cycle: take fewer tokens or rounder bandwidths")

    @property
    def batches(self) -> int:
        """Micro-batches."""
        return len(self.instance.micro_batches)

    @property
    def stages(self) -> int:
        """Stages of all blocks."""
        return self.layers.sizes.size

    @cached_property
    def work(self) -> list[tuple[Moved, tuple[OnKind, ...]]]:
        """Of each row: what a tile does, and what it costs on each kind."""
        instance, stages = self.instance, self.layers.sizes.size
        found: list[tuple[Moved, tuple[OnKind, ...]]] = []
        for batch in instance.micro_batches:
            seen: dict[Moved, tuple[OnKind, ...]] = {}
            for stage in range(stages):
                one = moved(instance, batch, STAGES[stage % len(STAGES)],
                            first=stage < len(STAGES), last=stage == stages - 1)
                if one not in seen:
                    seen[one] = tuple(on_kind(one, kind, instance.energy)
                                      for kind in instance.kinds)
                found.append((one, seen[one]))
        return found

    @cached_property
    def tables(self) -> Tables:
        """What the kernels read."""
        instance, layers = self.instance, self.layers
        bytes_ = np.array([
            (one.weights, one.kv_read, one.kv_write, one.given, one.from_each, one.from_single,
             one.output - one.kv_write, one.result) for one, _ in self.work], np.int64)
        cost = np.array([
            [(cost.cycles * self.units, cost.input_reads, cost.weight_reads, cost.keeps,
              2 * one.output <= kind.buffer, 0, 0, 0)
             for cost, kind in zip(costs, instance.kinds, strict=True)]
            for one, costs in self.work], np.int64)
        return Tables(
            row=self._by_node(layers.stage, self.stages),
            whole=self._by_node(layers.whole, self.stages),
            single=self._by_node(layers.single, instance.layers),
            last_reader=layers.last_reader.astype(np.int32),
            sizes=np.tile(layers.sizes, self.batches),
            kind=np.array(instance.chip_kind, np.int64), bytes=bytes_, cost=cost,
            energy=np.array([[cost.energy_pj for cost in costs] for _, costs in self.work]),
            tail=self._tail(cost), mesh=Mesh.of(*instance.grid), link_units=self.link_units,
            dram_units=self.dram_units, e_hop=instance.energy.e_hop,
            e_dram=instance.energy.e_dram)

    def _by_node(self, values: Ints, step: int) -> Ints32:
        """Numbers within a micro-batch, of each layer, as numbers within all of each node."""
        shift = np.arange(self.batches)[:, None] * step
        return np.where(values == NONE, NONE, values + shift).reshape(-1).astype(np.int32)

    def _tail(self, cost: Ints) -> Ints:
        """Longest way from the end of each row's nodes to the last, every layer at its fastest."""
        present = sorted(set(self.instance.chip_kind))
        least = cost[:, present, 0].min(1)
        found = np.zeros(least.size, np.int64)
        layers = self.layers
        for batch in range(self.batches):
            shift = batch * self.stages
            for layer in range(self.instance.layers - 1, -1, -1):
                here = shift + layers.stage[layer]
                way = found[here] + least[here]
                for before in (layers.whole[layer],
                               layers.stage[layers.single[layer]] if layers.single[layer] != NONE
                               else NONE):
                    if before != NONE:
                        found[shift + before] = max(found[shift + before], way)
        return found
