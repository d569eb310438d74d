"""The least latency or energy of a small instance by an integer program, apart from the evaluator.

Segments are given, so the list order is; links and DRAM are each layer's own, as published. Binary
variables say which chip a layer runs on; from them follow what is still held where, the bytes,
the times. Ref of the solver: HiGHS, by scipy.
"""

from collections import defaultdict

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.mesh import way
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.layers import NONE
from ouroboros.sw.search.problem.mapping import Cuts, Mapping

__all__ = ["GENES_MAX", "least"]

GENES_MAX = 20
Sum = dict[int, float]
"""Coefficients by variable."""


def least(problem: Problem, cuts: Cuts, *, energy: bool = False) -> tuple[float, Mapping]:
    """Least latency (cycles), or energy (pJ), of all mappings with these cuts, and one that has it.

    Raises
    ------
    SearchError
        If the instance has more than ``GENES_MAX`` genes, or the solver gives up.
    """
    if problem.instance.genes > GENES_MAX:
        raise SearchError(f"{problem.instance.name}: genes must be at most {GENES_MAX} for the "
                          f"integer program, not {problem.instance.genes}")
    return _Program(problem, cuts).solve(energy)


class _Program:
    """Variables and constraints; nodes are numbered as everywhere."""

    def __init__(self, problem: Problem, cuts: Cuts) -> None:
        self.problem, instance = problem, problem.instance
        self.chips, self.count = instance.chips, 0
        self.upper: list[float] = []
        self.whole: list[int] = []
        self.rows: list[tuple[Sum, float]] = []
        self.order = self._order(cuts)
        self.place = {node: n for n, node in enumerate(self.order)}
        nodes = range(instance.genes)
        self.on = {(node, chip): self._new(1, 1) for node in nodes for chip in range(self.chips)}
        for node in nodes:
            self._equal({self.on[node, chip]: 1.0 for chip in range(self.chips)}, 1.0)
        self.energy: Sum = defaultdict(float)
        self.constant = 0.0
        self.written: dict[tuple[int, int], int] = {}
        self.loads: dict[int, dict[int, Sum]] = {n: defaultdict(lambda: defaultdict(float))
                                                 for n in nodes}
        self.dram: dict[int, Sum] = {n: defaultdict(float) for n in nodes}
        for node in nodes:
            self._inputs(node)
            self._weights(node)
        for node in nodes:
            self._outputs(node)
        self._times()

    def solve(self, energy: bool) -> tuple[float, Mapping]:
        """Least latency or energy."""
        aim = np.zeros(self.count)
        if energy:
            for variable, value in self.energy.items():
                aim[variable] = value
        else:
            aim[self.latest] = 1.0
        scale = float(abs(aim).max())
        i, j, values = zip(*((n, variable, value) for n, (row, _) in enumerate(self.rows)
                             for variable, value in row.items()), strict=True)
        matrix = coo_array((values, (i, j)), shape=(len(self.rows), self.count)).tocsr()
        found = milp(aim / scale, integrality=np.array(self.whole),
                     bounds=Bounds(0, np.array(self.upper)),
                     constraints=LinearConstraint(matrix, ub=[limit for _, limit in self.rows]),
                     options={"mip_rel_gap": 1e-9})
        if found.x is None or found.status != 0:
            raise SearchError(f"the integer program was not solved: {found.message}")
        instance = self.problem.instance
        chips = [max(range(self.chips), key=lambda chip: found.x[self.on[node, chip]])
                 for node in range(instance.genes)]
        cuts = self.cuts
        return float(found.fun) * scale + self.constant * energy, Mapping(
            cuts=cuts, chips=np.array(chips, np.int16).reshape(self.problem.batches, -1))

    def _order(self, cuts: Cuts) -> list[int]:
        self.cuts = np.asarray(cuts, np.int8)
        layers = self.problem.instance.layers
        ends = [*np.flatnonzero(self.cuts).tolist(), layers - 1]
        found, low = list[int](), 0
        for end in ends:
            found += [batch * layers + layer for batch in range(self.problem.batches)
                      for layer in range(low, end + 1)]
            low = end + 1
        return found

    def _new(self, upper: float, whole: int = 0) -> int:
        self.upper.append(upper)
        self.whole.append(whole)
        self.count += 1
        return self.count - 1

    def _at_most(self, row: Sum, limit: float) -> None:
        self.rows.append((row, limit))

    def _equal(self, row: Sum, value: float) -> None:
        self._at_most(row, value)
        self._at_most({variable: -one for variable, one in row.items()}, -value)

    def _both(self, one: int, other: int) -> int:
        """1 if both of two variables of 0 or 1 are."""
        found = self._new(1)
        self._at_most({found: 1.0, one: -1.0}, 0.0)
        self._at_most({found: 1.0, other: -1.0}, 0.0)
        self._at_most({one: 1.0, other: 1.0, found: -1.0}, 1.0)
        return found

    def _free_between(self, before: int, after: int, chip: int) -> int:
        """1 if ``before`` ran on the chip, and nothing else there until ``after``."""
        found, mine = self._new(1), self.on[before, chip]
        others = [self.on[node, chip]
                  for node in self.order[self.place[before] + 1:self.place[after]]]
        self._at_most({found: 1.0, mine: -1.0}, 0.0)
        for other in others:
            self._at_most({found: 1.0, other: 1.0}, 1.0)
        self._at_most({mine: 1.0, found: -1.0, **dict.fromkeys(others, -1.0)}, 0.0)
        return found

    def _read(self, node: int, chip: int, variable: int, bytes_: float) -> None:
        """``variable`` times so many bytes come from DRAM to a node on the chip."""
        self._move(node, chip, variable, bytes_, inwards=True)

    def _move(self, node: int, chip: int, variable: int, bytes_: float, *, inwards: bool) -> None:
        columns, rows = self.problem.instance.grid
        ports = [row * columns + c for row in range(rows) for c in (0, columns - 1)]
        self.dram[node][variable] += bytes_
        self.energy[variable] += bytes_ * self.problem.tables.e_dram
        for port in ports:
            ends = (port, chip) if inwards else (chip, port)
            for link in way(columns, rows, *ends):
                self.loads[node][link][variable] += bytes_ / len(ports)
                self.energy[variable] += bytes_ / len(ports) * self.problem.tables.e_hop

    def _inputs(self, node: int) -> None:
        t = self.problem.tables
        row, layers = int(t.row[node]), self.problem.instance.layers
        sources: list[tuple[int, float]] = []
        if t.whole[node] != NONE:
            first = node - node % layers
            sources += [(other, float(t.bytes[row, 4])) for other in range(first, first + layers)
                        if t.row[other] == t.whole[node]]
        if t.single[node] != NONE:
            sources.append((int(t.single[node]), float(t.bytes[row, 5])))
        for chip in range(self.chips):
            kind, here = int(t.kind[chip]), self.on[node, chip]
            times = float(t.cost[row, kind, 1])
            self.energy[here] += float(t.energy[row, kind])
            self._read(node, chip, here, float(t.bytes[row, 1]) + float(t.bytes[row, 3]) * times)
        for other, bytes_ in sources:
            held: list[int] = []
            for source in range(self.chips):
                if not t.cost[t.row[other], t.kind[source], 4]:
                    continue
                there = self._free_between(other, node, source)
                held.append(there)
                for chip in range(self.chips):
                    if chip != source:
                        moved = self._both(there, self.on[node, chip])
                        amount = bytes_ * float(t.cost[row, t.kind[chip], 1])
                        for link in way(self.problem.instance.grid[0],
                                        self.problem.instance.grid[1], source, chip):
                            self.loads[node][link][moved] += amount
                            self.energy[moved] += amount * t.e_hop
            lost = self._new(1)
            self._equal({lost: 1.0, **dict.fromkeys(held, 1.0)}, 1.0)
            self.written[other, node] = lost
            for chip in range(self.chips):
                self._read(node, chip, self._both(lost, self.on[node, chip]),
                           bytes_ * float(t.cost[row, t.kind[chip], 1]))

    def _weights(self, node: int) -> None:
        t, layers = self.problem.tables, self.problem.instance.layers
        row = int(t.row[node])
        if not t.bytes[row, 0]:
            return
        twins = [other for other in self.order[:self.place[node]]
                 if other % layers == node % layers]
        for chip in range(self.chips):
            kind, here = int(t.kind[chip]), self.on[node, chip]
            bytes_ = float(t.bytes[row, 0]) * float(t.cost[row, kind, 2])
            self._read(node, chip, here, bytes_)
            if t.cost[row, kind, 3]:
                for twin in twins:
                    kept = self._both(self._free_between(twin, node, chip), here)
                    self._read(node, chip, kept, -bytes_)

    def _outputs(self, node: int) -> None:
        t = self.problem.tables
        row = int(t.row[node])
        losses = [lost for (source, _), lost in self.written.items() if source == node]
        gone: int | None = None
        if losses and not t.bytes[row, 7]:
            gone = self._new(1)
            for lost in losses:
                self._at_most({lost: 1.0, gone: -1.0}, 0.0)
            self._at_most({gone: 1.0, **dict.fromkeys(losses, -1.0)}, 0.0)
        for chip in range(self.chips):
            here = self.on[node, chip]
            always = float(t.bytes[row, 2]) + float(t.bytes[row, 6]) * bool(t.bytes[row, 7])
            self._move(node, chip, here, always, inwards=False)
            if gone is not None:
                self._move(node, chip, self._both(gone, here), float(t.bytes[row, 6]),
                           inwards=False)

    def _times(self) -> None:
        t, instance = self.problem.tables, self.problem.instance
        units, layers = self.problem.units, instance.layers
        bandwidth = instance.dram_channels * instance.dram_bw
        longest = 0.0
        for node in self.place:
            costs = t.cost[t.row[node]][t.kind, 0].max() / units
            moved = sum(abs(value) for value in self.dram[node].values())
            moved += sum(abs(value) for load in self.loads[node].values()
                         for value in load.values())
            longest += float(costs) + moved / min(bandwidth, instance.link_bw)
        start = {node: self._new(longest) for node in self.place}
        end = {node: self._new(longest) for node in self.place}
        self.latest = self._new(longest)
        for node in self.place:
            for load, speed in [(self.dram[node], bandwidth),
                                *((load, instance.link_bw) for load in self.loads[node].values()),
                                ({self.on[node, chip]: float(
                                    t.cost[t.row[node], t.kind[chip], 0]) / units
                                  for chip in range(self.chips)}, 1.0)]:
                self._at_most({start[node]: 1.0, end[node]: -1.0,
                               **{variable: value / speed for variable, value in load.items()}},
                              0.0)
            self._at_most({end[node]: 1.0, self.latest: -1.0}, 0.0)
            for source, reader in self.written:
                if reader == node:
                    self._at_most({end[source]: 1.0, start[node]: -1.0}, 0.0)
        for n, before in enumerate(self.order):
            for after in self.order[n + 1:]:
                if before // layers == after // layers and (before, after) in self.written:
                    continue
                for chip in range(self.chips):
                    self._at_most({end[before]: 1.0, start[after]: -1.0,
                                   self.on[before, chip]: longest, self.on[after, chip]: longest},
                                  2 * longest)
