"""A mapping looked at: when every layer runs, what goes over every link, what DRAM does."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.sw.search.evaluation.evaluate import Evaluator, Figures
from ouroboros.sw.search.evaluation.mesh import way
from ouroboros.sw.search.evaluation.tables import Floats, Problem
from ouroboros.sw.search.evaluation.work import END, READ, SOURCE, WORD, WRITE
from ouroboros.sw.search.problem.layers import NONE, STAGES, Ints
from ouroboros.sw.search.problem.mapping import Mapping

__all__ = ["Look", "look"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Look:
    """Schedule and traffic of a mapping; nodes are layers of all micro-batches in a row."""

    problem: Problem
    """The instance."""
    mapping: Mapping
    """The mapping."""
    contended: bool
    """Whether layers share links and DRAM."""
    figures: Figures
    """Latency and energy."""
    start: Floats
    """Cycle in which each node starts, ``(nodes,)``."""
    end: Floats
    """Cycle in which it ends, ``(nodes,)``."""
    read: Ints
    """Bytes of each node from DRAM, ``(nodes,)``."""
    write: Ints
    """Bytes to DRAM, ``(nodes,)``."""
    received: Ints
    """Bytes from other chips, ``(nodes,)``."""
    links: Floats
    """Bytes over each link, numbered as in ``sw.search.evaluation.mesh``, ``(links,)``."""
    arithmetic: Floats
    """Cycles of arithmetic of each chip, ``(chips,)``."""

    @property
    def busiest_link(self) -> float:
        """Part of the latency in which the busiest link transfers."""
        bytes_ = float(self.links.max(initial=0.0))
        return bytes_ / self.problem.instance.link_bw / self.figures.latency_cycles

    @property
    def dram_share(self) -> float:
        """Part of the latency in which DRAM transfers."""
        instance = self.problem.instance
        return float(self.read.sum() + self.write.sum()) / (
            instance.dram_channels * instance.dram_bw) / self.figures.latency_cycles

    def chip_bytes(self, values: Ints) -> Ints:
        """Bytes of nodes by their chips, ``(chips,)``."""
        return np.bincount(self.mapping.chips.reshape(-1), values,
                           self.problem.instance.chips).astype(np.int64)

    def name(self, node: int) -> str:
        """A node's block, stage, tile and micro-batch."""
        layers = self.problem.layers
        batch, layer = divmod(node, self.problem.instance.layers)
        stage = STAGES[layers.kind[layer]]
        return f"b{layers.block[layer]}.{stage}.{layers.tile[layer]} mb{batch}"

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"edp": self.figures.edp, "latency_cycles": self.figures.latency_cycles,
                "energy_pj": self.figures.energy_pj,
                "dram_bytes_read": int(self.read.sum()),
                "dram_bytes_written": int(self.write.sum()),
                "chip_to_chip_bytes": int(self.received.sum()),
                "byte_hops": float(self.links.sum()), "busiest_link_share": self.busiest_link,
                "dram_share": self.dram_share,
                "arithmetic_share": float(self.arithmetic.mean()) / self.figures.latency_cycles,
                "segments": int(self.mapping.cuts.sum()) + 1}


def look(problem: Problem, mapping: Mapping, *, contended: bool = True) -> Look:
    """Schedule and traffic of a mapping."""
    evaluator = Evaluator(problem, contended=contended)
    figures = evaluator(mapping)
    work, t, chips = evaluator.work, problem.tables, mapping.chips.reshape(-1).astype(np.int64)
    start = _starts(problem, evaluator, chips)
    links, received = _traffic(problem, evaluator, chips)
    rows = t.row
    return Look(
        problem=problem, mapping=mapping, contended=contended, figures=figures, start=start,
        end=work.node[:, END] / problem.units, read=work.node[:, READ].copy(),
        write=work.node[:, WRITE].copy(), received=received, links=links,
        arithmetic=np.bincount(chips, t.cost[rows, t.kind[chips], 0] / problem.units,
                               problem.instance.chips).astype(np.float64))


def _starts(problem: Problem, evaluator: Evaluator, chips: Ints) -> Floats:
    t, work = problem.tables, evaluator.work
    ends = work.node[:, END]
    free = np.zeros(problem.instance.chips, np.int64)
    whole = np.zeros(t.sizes.size, np.int64)
    found = np.zeros(chips.size)
    for node in work.order:
        ready = free[chips[node]]
        if t.single[node] != NONE:
            ready = max(ready, ends[t.single[node]])
        if t.whole[node] != NONE:
            ready = max(ready, whole[t.whole[node]])
        found[node] = ready / problem.units
        free[chips[node]] = ends[node]
        whole[t.row[node]] = max(whole[t.row[node]], ends[node])
    return found


def _traffic(problem: Problem, evaluator: Evaluator, chips: Ints) -> tuple[Floats, Ints]:
    """Bytes over every link, and bytes that every node gets from other chips."""
    t, work = problem.tables, evaluator.work
    mesh, size = t.mesh, problem.instance.chips
    between = np.zeros((size, size))
    received = np.zeros(chips.size, np.int64)
    ports = [row * mesh.columns + column for row in range(mesh.rows)
             for column in (0, mesh.columns - 1)]
    for node, chip in enumerate(chips.tolist()):
        row = t.row[node]
        times = t.cost[row, t.kind[chip], 1]
        if t.whole[node] != NONE:
            for source in range(size):
                if int(work.holders[node, source // WORD]) >> source % WORD & 1 and source != chip:
                    received[node] += t.bytes[row, 4] * times
                    between[source, chip] += t.bytes[row, 4] * times
        if work.node[node, SOURCE] != NONE:
            received[node] += t.bytes[row, 5] * times
            between[work.node[node, SOURCE], chip] += t.bytes[row, 5] * times
        for port in ports:
            between[port, chip] += work.node[node, READ] / len(ports)
            between[chip, port] += work.node[node, WRITE] / len(ports)
    links = np.zeros(mesh.links)
    for source, chip in zip(*np.nonzero(between), strict=True):
        for link in way(mesh.columns, mesh.rows, int(source), int(chip)):
            links[link] += between[source, chip]
    return links, received
