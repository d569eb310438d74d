"""Places: which dies of the grid hold weights and which KV, and what that adds to each block.

Weights lie along a snake over the dies that have them, block after block; the KV of each block on
the nearest dies of KV that have room. A wafer of one kind has a block's KV beside its weights, as
the wafer model assumes. On two kinds the way between them is longer, by the hops and borders from
die to die. So is that of a block whose weights lie on dies that do not touch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.timing.network import HOP_CYCLES, crossing_cycles
from ouroboros.sw.block.costs import port_loads
from ouroboros.sw.search.wafer.designs import Design, Dies, Model
from ouroboros.sw.wafer.blocks import LayerWays
from ouroboros.sw.wafer.estimate import Wafer

__all__ = ["KV", "NOTHING", "WEIGHTS", "Place", "Places", "snake"]

NOTHING, WEIGHTS, KV = 0, 1, 2
"""What a die holds."""
Kinds = npt.NDArray[np.int8]
Border = tuple[tuple[int, int], tuple[int, int]]
BINDING = 100
"""Cycles of a token's way that a flit above the interval counts as: a border that binds slows
prompts, though not decode where room for KV does."""
TO_KV = ("QKV", "attention")
"""Cells whose way ends at KV, or begins there."""
INSIDE = ("norm 1", "projection", "norm 2", "up/gate", "down")
"""Cells whose way ends at weights of the block."""


def snake(across: int, along: int) -> list[tuple[int, int]]:
    """Dies column by column, down and up in turn."""
    return [(x, y if x % 2 == 0 else along - 1 - y) for x in range(across) for y in range(along)]


@dataclass(frozen=True)
class Place:
    """What a pattern of dies comes to."""

    weights: tuple[tuple[int, ...], ...]
    """By block: places in the snake of the dies with its weights."""
    kv: tuple[tuple[int, ...], ...]
    """The same of its KV."""
    to_kv: npt.NDArray[np.int64]
    """``(blocks,)``: more cycles of each of the two ways to and from KV."""
    inside: npt.NDArray[np.int64]
    """``(blocks,)``: more cycles of each of the five other ways."""

    @property
    def cycles(self) -> int:
        """More cycles of a token."""
        return int(len(TO_KV) * self.to_kv.sum() + len(INSIDE) * self.inside.sum())

    def ways(self, border_flits: int, mesh_hold: int) -> dict[int, LayerWays]:
        """For ``model_chain``; the busiest border is part of the cell of the busiest link."""
        hold = {"mesh": max(0, border_flits - mesh_hold)}
        return {block: LayerWays({**dict.fromkeys(TO_KV, int(one)),
                                  **dict.fromkeys(INSIDE, int(other))}, hold)
                for block, (one, other) in enumerate(zip(self.to_kv, self.inside, strict=True))}


class Places:
    """Patterns of dies for one design.

    Parameters
    ----------
    model : Model
        Model and wafer.
    design : Design
        Of two kinds of dies.
    """

    def __init__(self, model: Model, design: Design):
        mesh = model.base.mesh
        self.model, self.design = model, design
        self.dies: Dies = model.share_out(design)
        self.snake = snake(*mesh.dies)
        self.blocks = model.shape.n_layers
        at = np.array(self.snake)
        apart = np.abs(at[:, None, :] - at[None, :, :])
        self.borders: npt.NDArray[np.int64] = apart.sum(axis=2)
        hops = apart[:, :, 0] * mesh.die_width + apart[:, :, 1] * mesh.die_height
        cross = crossing_cycles(model.base.noc)
        given = model._assumed["die_crossings_per_way"]
        self.to_kv = (HOP_CYCLES * hops
                      + np.maximum(0, self.borders - given) * cross).astype(np.int64)
        # Dies side by side are what the model's own way is about.
        more = np.maximum(0, self.borders - 1)
        self.inside = (more * (HOP_CYCLES * (mesh.die_width + mesh.die_height) // 2
                               + cross)).astype(np.int64)

    def first(self) -> Kinds:
        """KV dies spread evenly along the snake, those with nothing last."""
        kinds = np.full(len(self.snake), NOTHING, np.int8)
        used = self.dies.weights + self.dies.kv
        kinds[:used] = WEIGHTS
        kinds[[(2 * n + 1) * used // (2 * self.dies.kv) for n in range(self.dies.kv)]] = KV
        return kinds

    def naive(self) -> Kinds:
        """Weights first, then KV."""
        kinds = np.full(len(self.snake), NOTHING, np.int8)
        kinds[:self.dies.weights] = WEIGHTS
        kinds[self.dies.weights:self.dies.weights + self.dies.kv] = KV
        return kinds

    def place(self, kinds: Kinds) -> Place:
        """Blocks on a pattern."""
        weights = self._spread(np.flatnonzero(kinds == WEIGHTS), self.dies.weight_cores,
                               self.model.plan_cores(self.design.weights))
        kv = self._nearest(np.flatnonzero(kinds == KV), weights)
        # Rows first: most blocks lie on one die or two, and this is what annealing waits for.
        to_kv = np.array([self.to_kv[list(w)].max(axis=0)[list(k)].max()
                          for w, k in zip(weights, kv, strict=True)])
        inside = np.array([
            self.inside[list(w)].max(axis=0)[
                [*w, weights[min(n + 1, len(weights) - 1)][0]]].max()
            for n, w in enumerate(weights)])
        return Place(tuple(weights), tuple(kv), to_kv, inside)

    def _nearest(self, dies: npt.NDArray[np.int64],
                 weights: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Dies with the KV of each block: one after the other takes the nearest that have room."""
        free = [self.dies.kv_cores] * len(dies)
        need = self.model.groups(self.design.heads) * self.design.members // self.blocks
        found = []
        for block in weights:
            far = self.to_kv[list(block)].max(axis=0)[dies]
            left, taken = need, list[int]()
            for n in np.argsort(far, kind="stable").tolist():
                if not left:
                    break
                if free[n]:
                    cores = min(left, free[n])
                    free[n] -= cores
                    left -= cores
                    taken.append(int(dies[n]))
            found.append(tuple(taken))
        return found

    def _spread(self, dies: npt.NDArray[np.int64], each: int,
                cores: int) -> list[tuple[int, ...]]:
        """Dies of each block; blocks are equally large."""
        found = []
        for block in range(self.blocks):
            first = cores * block // self.blocks // each
            last = (cores * (block + 1) - 1) // self.blocks // each
            found.append(tuple(int(dies[min(n, len(dies) - 1)]) for n in range(first, last + 1)))
        return found

    @cached_property
    def _interval(self) -> int:
        """Cycles between tokens that no place changes."""
        return self.model.on(self.design).interval_cycles

    def cost(self, kinds: Kinds) -> int:
        """What annealing makes small: more cycles of a token, and of a border that binds."""
        place = self.place(kinds)
        return place.cycles + BINDING * max(0, self.border_flits(place) - self._interval)

    @cached_property
    def _passed(self) -> dict[tuple[int, int], tuple[Border, ...]]:
        """Borders on the way from one die to another, as they are asked for."""
        return {}

    @cached_property
    def _flits(self) -> int:
        """Flits per token between the weights and the KV of a block, to and fro."""
        return exchanged(self.model.half(self.design.weights, self.design.heads,
                                         self.design.members))

    def border_flits(self, place: Place) -> int:
        """Flits per token on a link of the busiest border, at best: links share them evenly."""
        mesh = self.model.base.mesh
        loads: dict[Border, float] = {}
        for weights, kv in zip(place.weights, place.kv, strict=True):
            share = self._flits / (len(weights) * len(kv))
            for w in weights:
                for k in kv:
                    if (w, k) not in self._passed:
                        self._passed[w, k] = tuple(_borders(self.snake[w], self.snake[k]))
                    for border in self._passed[w, k]:
                        loads[border] = loads.get(border, 0.0) + share
        links = min(*(size for kind in (self.design.weights, self.design.kv)
                      for size in self.model.silicon.die_mesh(kind)), mesh.die_width)
        return int(np.ceil(max(loads.values(), default=0.0) / links))


def _borders(one: tuple[int, int], other: tuple[int, int]) -> Iterable[Border]:
    """Borders of an XY way, whichever direction."""
    (x, y), (to_x, to_y) = one, other
    while (x, y) != (to_x, to_y):
        before = x, y
        if x != to_x:
            x += 1 if to_x > x else -1
        else:
            y += 1 if to_y > y else -1
        yield min(before, (x, y)), max(before, (x, y))


def exchanged(wafer: Wafer) -> int:
    """Flits per token that QKV cores send to KV cores, one copy of each, and KV homes send back."""
    loads = port_loads(wafer.graph.machine, wafer.graph.stages)
    block = [stage for stage in wafer.graph.stages if stage.info.layer == 0]
    return sum(loads[stage.key].flits_out for stage in block
               if stage.info.kind == "qkv" or (
                   stage.kv is not None and not stage.kv["member"]))
