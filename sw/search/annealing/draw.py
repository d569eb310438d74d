"""Random numbers of the kernels: the same on every machine."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.compiled import compiled

__all__ = ["Stream", "below", "exponentials", "stream", "uniform"]

Stream = npt.NDArray[np.uint64]
DRAWS = 4096
S11, S17, S23, S26, S32 = (np.uint64(n) for n in (11, 17, 23, 26, 32))
SCALE = 2.0**-53


def stream(seed: int, number: int = 0) -> Stream:
    """State of one of the independent streams of a seed."""
    return np.random.SeedSequence((seed, number)).generate_state(2, np.uint64).astype(np.uint64)


def exponentials() -> npt.NDArray[np.float64]:
    """``-ln`` of the midpoints of equal parts of (0, 1), without a library's last bits."""
    draws = -np.log((np.arange(DRAWS) + 0.5) / DRAWS)
    return np.round(draws * 2.0**20) / 2.0**20


@compiled
def _next(state: Stream) -> np.uint64:
    """Ref: S. Vigna, Further scramblings of Marsaglia's xorshift generators, 2017: xorshift128+."""
    x, y = state[0], state[1]
    state[0] = y
    x ^= x << S23
    state[1] = x ^ y ^ (x >> S17) ^ (y >> S26)
    return np.uint64(state[1] + y)


@compiled
def below(state: Stream, count: Any) -> Any:
    """A whole number from 0 to ``count - 1``; ``count`` below 2**31."""
    return np.int64(((_next(state) >> S32) * np.uint64(count)) >> S32)


@compiled
def uniform(state: Stream) -> float:
    """A number in [0, 1)."""
    return np.float64(_next(state) >> S11) * SCALE
