"""Attention of several heads, one after the other, on a rank, beside the golden model."""

from dataclasses import dataclass

import numpy as np

from ouroboros.hw.params.pim import PimParams
from ouroboros.hw.pim.job import JobOp
from ouroboros.hw.pim.softmax import Part
from ouroboros.sw.golden.pim import Context, attend
from ouroboros.tb.pim.agent import RankAgent

__all__ = ["SE", "Round", "compare", "golden", "make_rounds", "play", "store"]

SE = 20


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One head in every slot: queries (slots, queries, head_dim), K and V (slots, tokens, ..)."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    me: np.ndarray
    """(slots, queries)."""
    key_row: int
    value_row: int

    @property
    def tokens(self) -> int:
        """Tokens of every head."""
        return int(self.k.shape[1])


def make_rounds(pim: PimParams, tokens: list[int], seed: int) -> list[Round]:
    """Random heads of so many tokens, K and V of all of them one after the other in the rows.

    A few scores are far above the others, as in real heads; the rest still count.
    """
    rng, row, found = np.random.default_rng(seed), 0, []
    for count in tokens:
        shape = pim.slots, count, pim.head_dim
        k, v = (rng.integers(-127, 128, shape, np.int8) for _ in range(2))
        q = rng.integers(-127, 128, (pim.slots, pim.queries, pim.head_dim), np.int8)
        spread = 73 * 73 * pim.head_dim**0.5 * 3    # about the largest score
        me = rng.integers(*(int(octaves * 16 * 2**SE / spread) for octaves in (4, 12)),
                          (pim.slots, pim.queries))
        found.append(Round(q, k, v, np.minimum(me, 65535), row, row + pim.key_rows(count)))
        row += pim.key_rows(count) + pim.value_rows(count)
    if row > pim.rows:
        raise ValueError(f"rows must be at least {row}, not {pim.rows}")
    return found


async def store(agent: RankAgent, rounds: list[Round]) -> None:
    """Write K and V of all heads by the host's port."""
    for one in rounds:
        agent.store(one.key_row, one.k, value=False)
        agent.store(one.value_row, one.v, value=True)
    await agent.finished(10_000_000)


def play(agent: RankAgent, rounds: list[Round], *, exp_bits: int = 7) -> None:
    """Queue all jobs: the scores of a head are made before the sums of the head before it."""
    def sums(number: int) -> None:
        one = rounds[number]
        parts = (Part.WHOLE,) if exp_bits == 7 else (Part.HIGH, Part.LOW)
        for part in parts:
            agent.job(JobOp.CONTEXT, row=one.value_row, tokens=one.tokens, half=number % 2,
                      part=part, me=one.me, se=SE)

    for number, one in enumerate(rounds):
        agent.queries(number % 2, one.q)
        agent.job(JobOp.SCORE, row=one.key_row, tokens=one.tokens, half=number % 2)
        if number:
            sums(number - 1)
    sums(len(rounds) - 1)


def golden(one: Round, *, exp_bits: int = 7) -> list[list[Context]]:
    """What the golden model says, by slot and query."""
    return [[attend(one.q[slot, query], one.k[slot], one.v[slot], int(one.me[slot, query]), SE,
                    exp_bits=exp_bits) for query in range(one.q.shape[1])]
            for slot in range(len(one.q))]


def compare(found: list[list[Context]], expected: list[list[Context]]) -> int:
    """Values of int8 that were compared; all of them, and all sums, must be equal."""
    count = 0
    for row, wanted in zip(found, expected, strict=True):
        for have, want in zip(row, wanted, strict=True):
            assert (have.top, have.den) == (want.top, want.den)
            assert (have.sums == want.sums).all()
            count += len(want.values)
    return count
