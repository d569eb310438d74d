"""Designs best first: by what they can reach, more closely as it comes to that.

Costing a design takes two halves of a wafer; a bound comes from none, a closer one from the half
with KV, which designs with other weights share.
"""

import heapq
import math
from collections.abc import Iterable

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.designs import Design, Model
from ouroboros.sw.search.wafer.kinds import DieKind
from ouroboros.sw.wafer.estimate import Wafer

__all__ = ["FINALISTS", "Ranking"]

FINALISTS = 3
"""Designs whose places are annealed, at most."""
HURRY = 4 * FINALISTS
"""Designs that are costed at most once time is up."""


class Ranking:
    """Designs of a model in the order of what they can reach."""

    def __init__(self, model: Model):
        self.model, self.bounds = model, _Bounds(model)
        self.costed: list[tuple[float, Design]] = []
        """Tokens/s, ways left out."""
        self.tried = 0
        """Designs that were costed, those without programs among them."""
        self._waiting: list[tuple[float, bool, Design]] = []

    def rank(self, designs: Iterable[Design]) -> None:
        """Take designs, by their bounds."""
        self._waiting = [(-self.bounds(one), False, one) for one in designs]
        heapq.heapify(self._waiting)

    @property
    def best(self) -> list[tuple[float, Design]]:
        """The fastest so far, at most ``FINALISTS``."""
        return sorted(self.costed, key=lambda pair: (-pair[0], pair[1]))[:FINALISTS]

    @property
    def reach(self) -> float:
        """Tokens/s that no design is above."""
        return max((value for value, _ in (*self.costed, *((-one[0], one[2])
                                                           for one in self._waiting[:1]))),
                   default=0.0)

    def settled(self, least: float) -> bool:
        """Whether no other design can be faster than ``least``, or one of the fastest."""
        if not self._waiting:
            return True
        best, reach = self.best, -self._waiting[0][0]
        return reach <= least or (len(best) == FINALISTS and reach <= best[-1][0])

    def step(self) -> tuple[float, Design] | None:
        """Bound the first design more closely, or cost it; what it reaches, if it was costed."""
        reach, closer, design = self._waiting[0]
        if not closer:
            reach = max(reach, -self.bounds.closer(design))
            # Cores of one kind: both halves are there now.
            if design.mixed:
                heapq.heapreplace(self._waiting, (reach, True, design))
                return None
        heapq.heappop(self._waiting)
        return self._cost(design)

    def hurry(self) -> None:
        """Time is up: cost a few of those that are bounded closely, so that the best are placed."""
        known = sorted(one for one in self._waiting if one[1])[:HURRY]
        for one in known:
            best = self.best
            if len(best) == FINALISTS and -one[0] <= best[-1][0]:
                break
            self._waiting.remove(one)
            self._cost(one[2])
        heapq.heapify(self._waiting)

    def _cost(self, design: Design) -> tuple[float, Design] | None:
        self.tried += 1
        try:
            found = self.model.on(design).decode_tokens_per_s, design
        except SearchError:
            return None
        self.costed.append(found)
        return found


class _Bounds:
    """What a design can reach at best, before its programs are laid out."""

    def __init__(self, model: Model):
        self.model = model
        self._rest: dict[DieKind, float] = {}

    def __call__(self, design: Design) -> float:
        """Tokens/s: sequences by bytes over the latency of everything but attention."""
        model, shape = self.model, self.model.shape
        machine = design.kv.machine(model.base)
        cim, half = machine.cim, max(machine.core.macros // 2, 1)
        blocks = min(half * (cim.groups // -(-shape.head_dim // cim.active_rows)),
                     half * (cim.rows // cim.outputs) * (cim.outputs // shape.head_dim),
                     machine.kv.pages) // design.heads * design.members
        sequences = min(blocks // math.ceil(model.context / machine.block_tokens),
                        machine.kv.sequences)
        hz = model._assumed["clock_ghz"] * 1e9
        return sequences * hz / self.rest(design.weights) if sequences else 0.0

    def closer(self, design: Design) -> float:
        """The same with the sequences and the attention of its KV cores; 0: they have no program.

        Designs that differ in their weights share that half.
        """
        model = self.model
        try:
            half = model.half(design.kv, design.heads, design.members)
        except SearchError:
            return 0.0
        cycles = self.rest(design.weights) + model.shape.n_layers * half.block_latency["attention"]
        return half.sequences * half.clock_hz / cycles

    def rest(self, kind: DieKind) -> float:
        """Cycles of a token but for attention; more members take no fewer."""
        if kind not in self._rest:
            try:
                half = self.model.half(kind, 1, 1, self.model.base.block_tokens)
                self._rest[kind] = _without_attention(half)
            except SearchError:
                self._rest[kind] = math.inf
        return self._rest[kind]


def _without_attention(half: Wafer) -> float:
    return half.latency_cycles - half.shape.n_layers * half.block_latency["attention"]
