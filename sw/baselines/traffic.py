"""Requests that every machine is given: when they come, how long they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.lib.csv_file import read_rows

__all__ = ["TOKENS_MAX", "Traffic", "chat", "equal", "read_traffic"]

TOKENS_MAX = 1 << 24
"""Of one request's prompt or text."""
SECONDS_MAX = 1e9

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Traffic:
    """Requests in the order of their arrival.

    Raises
    ------
    BaselineError
        If there is none, an arrival lies before the one that precedes it, or a length is below 1.
    """

    arrival_s: npt.NDArray[np.float64]
    """(requests,) seconds."""
    input_tokens: Whole
    """(requests,) tokens of the prompt."""
    output_tokens: Whole
    """(requests,) tokens to generate."""
    source: str
    """File or rule."""

    def __post_init__(self) -> None:
        if not len(self.arrival_s):
            raise BaselineError(f"{self.source}: must have at least one request, not 0")
        back = np.flatnonzero(np.diff(self.arrival_s) < 0)
        if len(back):
            raise BaselineError(f"{self.source}: request {back[0] + 2} must not arrive before "
                                f"request {back[0] + 1}")
        for name in ("input_tokens", "output_tokens"):
            short = np.flatnonzero(getattr(self, name) < 1)
            if len(short):
                raise BaselineError(f"{self.source}: {name} of request {short[0] + 1} must be at "
                                    f"least 1, not {getattr(self, name)[short[0]]}")

    @property
    def requests(self) -> int:
        """How many."""
        return len(self.arrival_s)

    def share(self, first: int, step: int) -> "Traffic":
        """Every ``step``-th request from ``first`` on: what one of ``step`` replicas is dealt."""
        return Traffic(arrival_s=self.arrival_s[first::step],
                       input_tokens=self.input_tokens[first::step],
                       output_tokens=self.output_tokens[first::step], source=self.source)

    def scaled(self, rate: float) -> "Traffic":
        """The same requests, ``rate`` times as fast; infinite: all at once."""
        return Traffic(arrival_s=self.arrival_s / rate, input_tokens=self.input_tokens,
                       output_tokens=self.output_tokens, source=self.source)

    def as_dict(self) -> dict[str, Any]:
        """For a file: what it is, without the requests."""
        return {"source": self.source, "requests": self.requests,
                "input_tokens": int(self.input_tokens.sum()),
                "output_tokens": int(self.output_tokens.sum())}


def read_traffic(path: Path) -> Traffic:
    """A CSV file with the columns arrival_s, input_tokens, output_tokens, in order of arrival.

    Raises
    ------
    FileError, BaselineError
        If it is no such file; the message names file, line and column.
    """
    rows = read_rows(path, ("arrival_s", "input_tokens", "output_tokens"), others=True)
    arrival, before = [], 0.0
    for row in rows:
        now = row.number("arrival_s", 0, SECONDS_MAX)
        if now < before:
            raise row.refuse("arrival_s", f"at least {before:g}, when the request before arrived")
        arrival.append(now)
        before = now
    return Traffic(
        arrival_s=np.array(arrival, float), source=str(path),
        input_tokens=_whole([row.whole("input_tokens", 1, TOKENS_MAX) for row in rows]),
        output_tokens=_whole([row.whole("output_tokens", 1, TOKENS_MAX) for row in rows]))


def equal(requests: int, input_tokens: int, output_tokens: int) -> Traffic:
    """Requests of one length, all there from the beginning."""
    return Traffic(arrival_s=np.zeros(requests), source=f"{input_tokens}:{output_tokens} tokens",
                   input_tokens=_whole([input_tokens] * requests),
                   output_tokens=_whole([output_tokens] * requests))


def chat(requests: int, input_mean: float, output_mean: float, *, seed: int = 0,
         spread: float = 1.0, longest: int = 1024) -> Traffic:
    """Log-normal lengths with given means, all there from the beginning.

    Parameters
    ----------
    spread : float
        Standard deviation of the logarithm.
    longest : int
        What is drawn longer is cut; the mean holds after the cut.
    """
    rng = np.random.default_rng(seed)

    def draw(mean: float) -> Whole:
        shape = np.exp(spread * rng.standard_normal(requests))
        scale = mean / shape.mean()
        for _ in range(100):        # the cut takes from the mean: a fixed point
            found = np.clip(np.rint(shape * scale), 1, longest)
            scale *= mean / found.mean()
        return np.array(np.clip(np.rint(shape * scale), 1, longest), np.int64)

    return Traffic(arrival_s=np.zeros(requests), input_tokens=draw(input_mean),
                   output_tokens=draw(output_mean),
                   source=f"log-normal lengths, means {input_mean:g} and {output_mean:g}, spread "
                          f"{spread:g}, at most {longest}, seed {seed}")


def _whole(values: Sequence[int]) -> Whole:
    return np.array(values, np.int64)
