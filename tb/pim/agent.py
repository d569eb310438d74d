"""Host of a rank in a bench: vectors and jobs in, contexts out, no timing broken."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.hw.params.pim import SCORE_BITS, PimParams
from ouroboros.hw.pim.job import JobOp
from ouroboros.hw.pim.softmax import Part
from ouroboros.sw.golden.pim import Context
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.lib.stream import StreamSink, StreamSource

__all__ = ["Given", "RankAgent"]

NO_FLOOR = -1 << (SCORE_BITS - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A word of context as it came."""

    query: int
    word: int
    sums: np.ndarray
    """(chips, 2)."""
    values: np.ndarray
    den: tuple[int, ...]
    top: tuple[int, ...]


class RankAgent(Agent):
    """Sends jobs and vectors, takes answers; asserts in every cycle that no rule is broken.

    Parameters
    ----------
    pim : PimParams
        The rank.
    staggered : bool
        How its banks work.
    """

    def __init__(self, dut: Dut, pim: PimParams, *, staggered: bool = False, stall: float = 0.0,
                 rng: random.Random | None = None):
        super().__init__(dut, stall=stall, rng=rng)
        self.pim = pim
        self.given: list[Given] = []
        self._answers: list[Any] = []
        self.ops: dict[int, int] = {}
        self.ends.append(self)
        self.jobs = StreamSource(self, "jobs")
        self.host = StreamSource(self, "host")
        self.context = StreamSink(self, "context", self._context)
        self.answers = StreamSink(self, "answers", self._answers.append)
        dut.set("staggered", int(staggered))

    def drive(self) -> None:
        """Nothing of its own."""

    def look(self) -> None:
        """No rule is broken."""
        op = self.dut.get("op")
        if op:
            self.ops[op] = self.ops.get(op, 0) + 1
            assert not self.dut.get("broken").as_bits(), (
                f"cycle {self.cycle}: command {op} breaks {self.dut.get('broken')}")

    def job(self, op: JobOp, *, row: int = 0, tokens: int = 0, half: int = 0,
            part: Part = Part.WHOLE, me: Any = 0, se: int = 0, floor: Any = None) -> None:
        """Queue a job; ``me`` and ``floor`` (slots, queries), or one for all."""
        shape = self.pim.slots, self.pim.queries
        floor = NO_FLOOR if floor is None else floor
        self.jobs.send({"op": op, "row": row, "head": {
            "tokens": tokens, "half": half, "part": part, "se": se,
            "me": np.broadcast_to(me, shape).tolist(),
            "floor": np.broadcast_to(floor, shape).tolist()}})

    def vectors(self, vectors: np.ndarray) -> None:
        """Queue vectors (slots, head_dim) of int8 for the next job that takes some."""
        chips = self.pim.chips
        data = np.ascontiguousarray(vectors, np.int8).tobytes()
        for start in range(0, len(data), chips):
            self.host.send(int.from_bytes(data[start:start + chips], "little"))

    def store(self, row: int, vectors: np.ndarray, *, value: bool, first: int = 0) -> None:
        """Append K or V (slots, tokens, head_dim), from token ``first`` on."""
        for token in range(vectors.shape[1]):
            self.job(JobOp.APPEND_V if value else JobOp.APPEND_K, row=row, tokens=first + token)
            self.vectors(vectors[:, token])

    def queries(self, half: int, q: np.ndarray) -> None:
        """Write queries (slots, queries, head_dim) into a half."""
        self.job(JobOp.QUERY, half=half)
        for query in range(self.pim.queries):
            self.vectors(q[:, query])

    async def read(self, row: int, token: int, *, value: bool) -> np.ndarray:
        """K or V of a token, (slots, head_dim)."""
        pim = self.pim
        self._answers.clear()
        self.job(JobOp.READ_V if value else JobOp.READ_K, row=row, tokens=token)
        await self.until(lambda: len(self._answers) == pim.head_dim // pim.head_chips)
        data = b"".join(one.as_bits().to_bytes(pim.chips, "little") for one in self._answers)
        return np.frombuffer(data, np.int8).reshape(pim.slots, pim.head_dim)

    async def finished(self, cycles: int = 1_000_000) -> None:
        """Wait until nothing is at work."""
        await self.until(lambda: not self.jobs.queue and not self.host.queue
                         and bool(self.dut.get("idle")), cycles)

    def contexts(self) -> list[list[Context]]:
        """Contexts that came since the last call, by slot and query; of one phase."""
        pim = self.pim
        words = pim.head_dim // (2 * pim.head_chips)
        given, self.given = self.given[:words * pim.queries], self.given[words * pim.queries:]
        assert [(one.query, one.word) for one in given] == [
            (query, word) for query in range(pim.queries) for word in range(words)]
        found = []
        for slot in range(pim.slots):
            chips = slice(slot * pim.head_chips, (slot + 1) * pim.head_chips)
            row = []
            for query in range(pim.queries):
                mine = given[query * words:(query + 1) * words]
                # (words, chips, 2) to dimension head_chips * (2 word + n) + chip.
                sums, values = (np.stack([getattr(one, name)[chips] for one in mine])
                                .transpose(0, 2, 1).reshape(-1) for name in ("sums", "values"))
                context = Context(mine[0].top[slot], mine[0].den[slot], sums)
                assert (context.values == values).all(), "values must be the normalised sums"
                row.append(context)
            found.append(row)
        return found

    def _context(self, word: Any) -> None:
        chips, slots = self.pim.chips, self.pim.slots
        self.given.append(Given(
            word.query, word.word,
            np.array([word.sums[n] for n in range(2 * chips)]).reshape(chips, 2),
            np.array([word.values[n] for n in range(2 * chips)]).reshape(chips, 2),
            tuple(word.den[n] for n in range(slots)), tuple(word.top[n] for n in range(slots))))
