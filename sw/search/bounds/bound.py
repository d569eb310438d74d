"""A lower bound on the EDP of every mapping of an instance.

The relaxed machine: tiles are divisible among chips, each at the time and energy that it has to
pay there (``sw.search.bounds.forced``); chips and DRAM have no more time than the makespan; a
micro-batch's stages follow each other. A linear program gives the least of time plus a price for
energy; prices cut off a convex region of latency and energy, and the least product in it is the
bound.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from ouroboros.sw.search.bounds.forced import Forced, forced
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.tables import Floats, Problem
from ouroboros.sw.search.problem.layers import STAGES

__all__ = ["Bound", "bound"]

PRICES = 2.0 ** np.arange(-4, 5)
"""Prices of energy that are tried, in parts of the one at which latency and energy weigh alike."""
SLACK = 1e-6
"""Of a bound: the linear programs are solved to 1e-7."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """No mapping is better in any of these."""

    latency_cycles: float
    """Least latency."""
    energy_pj: float
    """Least energy."""
    edp: float
    """Least product; at least that of the two."""
    chain_cycles: float
    """Least time of a micro-batch's stages one after the other: part of the latency."""

    def gap(self, edp: float) -> float:
        """How far an EDP is above the bound, as a part of the bound."""
        return edp / self.edp - 1


def bound(problem: Problem, *, contended: bool = True) -> Bound:
    """Of all mappings.

    Parameters
    ----------
    contended : bool
        Layers share DRAM, as the bound then does too.
    """
    pays = forced(problem)
    chain = _chain(problem, pays, contended)
    program = _Program(problem, pays, chain, contended)
    fastest, leanest = program.least(1.0, 0.0), program.least(0.0, 1.0)
    lines = [(1.0, 0.0, fastest), (0.0, 1.0, leanest)]
    lines += [(1.0, price * fastest / leanest,
               program.least(1.0, price * fastest / leanest)) for price in PRICES]
    lines = [(a, b, value * (1 - SLACK)) for a, b, value in lines]
    return Bound(latency_cycles=lines[0][2], energy_pj=lines[1][2], edp=_least_product(lines),
                 chain_cycles=chain)


def _least_product(lines: list[tuple[float, float, float]]) -> float:
    """Least T x E where a T + b E >= value for every line: at a corner, as it is quasiconcave."""
    found = np.inf
    for n, (a, b, value) in enumerate(lines):
        for c, d, other in lines[:n]:
            size = a * d - b * c
            if size == 0:
                continue
            time, energy = (value * d - b * other) / size, (a * other - value * c) / size
            if time > 0 and energy > 0 and all(
                    p * time + q * energy >= least * (1 - 1e-9) for p, q, least in lines):
                found = min(found, time * energy)
    return float(found)


def _chain(problem: Problem, pays: Forced, contended: bool) -> float:
    """Longest sum of the stages of one micro-batch, each on the whole machine.

    Tiles of attention follow their own tile of QKV, not all; so of these two one counts as a whole,
    the other as its fastest tile.
    """
    tiles, longest = problem.tables.sizes, 0.0
    bandwidth = problem.instance.dram_channels * problem.instance.dram_bw
    for batch in range(problem.batches):
        length = 0.0
        for stage in range(problem.stages):
            row = batch * problem.stages + stage
            name = STAGES[stage % len(STAGES)]
            if name == "attn":
                continue
            time = _makespan(pays, row, int(tiles[row]), bandwidth if contended else np.inf)
            if name == "qkv":
                behind = _makespan(pays, row + 1, int(tiles[row + 1]),
                                   bandwidth if contended else np.inf)
                time = max(time + pays.cycles[row + 1].min(), pays.cycles[row].min() + behind)
            length += time
        longest = max(longest, length)
    return float(longest)


def _makespan(pays: Forced, row: int, tiles: int, bandwidth: float) -> float:
    """Least time in which all chips do so many whole tiles."""
    cycles = pays.cycles[row]
    ends = np.sort((cycles[:, None] * np.arange(1, tiles + 1)).ravel())
    return max(float(ends[tiles - 1]), tiles * float(pays.dram[row].min()) / bandwidth)


class _Program:
    """The linear program: tiles of each row on each chip, further loads of weights, the time."""

    def __init__(self, problem: Problem, pays: Forced, chain: float, contended: bool) -> None:
        tiles, stages = problem.tables.sizes, problem.stages
        rows, chips = pays.cycles.shape
        t, mesh = problem.tables, problem.tables.mesh
        byte = t.e_dram + t.e_hop * float(mesh.port_hops.min()) / (2 * mesh.rows)
        shares = rows * chips
        self.more_energy = pays.more_energy
        # In these units the numbers of the program are near 1.
        self.unit_t = max(chain, float(pays.cycles.min(1) @ tiles) / chips)
        self.unit_e = float(pays.energy.min(1) @ tiles) + pays.more_energy
        self.energy = np.concatenate([pays.energy.ravel(), pays.weights * byte, [0.0]])
        self.energy /= self.unit_e
        time = shares + stages
        entries: list[tuple[int, int, float]] = []
        limits: list[float] = []
        for chip in range(chips):
            entries += [(chip, row * chips + chip, pays.cycles[row, chip] / self.unit_t)
                        for row in range(rows)]
            entries.append((chip, time, -1.0))
            limits.append(0.0)
        line = chips
        # Every tile's weights are loaded once at least, by a layer that has to or by another.
        for stage in range(stages):
            entries += [(line, row * chips + chip, -1.0)
                        for row in range(stage, rows, stages) for chip in range(chips)
                        if pays.loads[row, chip]]
            entries.append((line, shares + stage, -1.0))
            limits.append(-float(tiles[stage]) if pays.weights[stage] else 0.0)
            line += 1
        if contended:
            scale = problem.instance.dram_channels * problem.instance.dram_bw * self.unit_t
            entries += [(line, row * chips + chip, pays.dram[row, chip] / scale)
                        for row in range(rows) for chip in range(chips)]
            entries += [(line, shares + stage, pays.weights[stage] / scale)
                        for stage in range(stages)]
            entries.append((line, time, -1.0))
            limits.append(-pays.more_dram / scale)
            line += 1
        i, j, values = zip(*entries, strict=True)
        self.upper = coo_array((values, (i, j)), shape=(line, time + 1)).tocsr()
        self.limits = np.array(limits)
        self.equal = coo_array((np.ones(shares), (np.arange(shares) // chips, np.arange(shares))),
                               shape=(rows, time + 1)).tocsr()
        self.tiles = tiles.astype(np.float64)
        self.bounds = [(0.0, None)] * time + [(chain / self.unit_t, None)]

    def least(self, time: float, energy: float) -> float:
        """Least ``time`` x latency + ``energy`` x energy."""
        wanted: Floats = self.energy * (energy * self.unit_e)
        wanted[-1] += time * self.unit_t
        scale = float(wanted.max())
        found = linprog(wanted / scale, self.upper, self.limits, self.equal, self.tiles,
                        self.bounds, method="highs")
        if not found.success:
            raise SearchError(f"the linear program of the bound has no solution: {found.message}")
        return float(found.fun) * scale + energy * self.more_energy
