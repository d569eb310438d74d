"""Requests: from a trace, or of one length; and when they arrive."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.csv_file import read_rows
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.chain import Ints
from ouroboros.sw.wafer.run import Traffic

__all__ = ["COLUMNS", "Requests", "at_rate", "of_lengths", "read_trace"]

COLUMNS = ("arrival_s", "input_tokens", "output_tokens")
"""Of a trace's file."""
TOKENS_MAX = 1 << 24
SECONDS_MAX = 1e9


@dataclass(frozen=True, slots=True)
class Requests:
    """In the order of their arrivals: ``(requests,)`` each."""

    arrivals_s: npt.NDArray[np.float64]
    """Seconds from the first on."""
    prompts: Ints
    """Tokens of the prompt, at least 1."""
    outputs: Ints
    """Tokens to generate, at least 1."""
    name: str
    """Where they come from."""

    def at(self, clock_hz: float) -> Traffic:
        """The same in cycles."""
        return Traffic(np.round(self.arrivals_s * clock_hz).astype(np.int64), self.prompts,
                       self.outputs)

    @property
    def longest(self) -> int:
        """Tokens of the longest, prompt and output."""
        return int((self.prompts + self.outputs).max())


def read_trace(path: Path, first: int | None = None) -> Requests:
    """Requests of a CSV file with the columns ``COLUMNS``.

    Parameters
    ----------
    first : int, optional
        Only so many, from the beginning.

    Raises
    ------
    FileError
        If the file is no such table, or a cell no such number; the message names line and column.
    PerfError
        If there are no requests.
    """
    rows = read_rows(path, COLUMNS, others=True)[:first]
    if not rows:
        raise PerfError(f"{path}: must have at least one request below its head line")
    arrivals = np.zeros(len(rows))
    lengths = np.zeros((2, len(rows)), np.int64)
    for n, row in enumerate(rows):
        arrivals[n] = row.number("arrival_s", 0, SECONDS_MAX)
        if n and arrivals[n] < arrivals[n - 1]:
            raise row.refuse("arrival_s", f"at least {arrivals[n - 1]:g}, that of the line before")
        lengths[0, n] = row.whole("input_tokens", 1, TOKENS_MAX)
        lengths[1, n] = row.whole("output_tokens", 1, TOKENS_MAX)
    return Requests(arrivals - arrivals[0], lengths[0], lengths[1], path.name)


def of_lengths(lengths: str, requests: int) -> Requests:
    """Requests that are alike and all there at once.

    Parameters
    ----------
    lengths : str
        Tokens of prompt and output, as ``512:128``.

    Raises
    ------
    PerfError
        If these are no two whole numbers of at least 1.
    """
    prompt, _, output = lengths.partition(":")
    if not (prompt.isdecimal() and output.isdecimal()
            and 0 < int(prompt) <= TOKENS_MAX and 0 < int(output) <= TOKENS_MAX):
        raise PerfError("lengths must be tokens of prompt and output, such as 512:128, each 1 to "
                        f"{TOKENS_MAX:,}, not {lengths!r}")
    return Requests(np.zeros(requests), np.full(requests, int(prompt)),
                    np.full(requests, int(output)), lengths)


def at_rate(requests: Requests, rate: str, seed: int) -> Requests:
    """The same requests at other times.

    Parameters
    ----------
    rate : str
        ``x20``: as many times as fast; a number: so many a second on average, the times between
        them as they are or, where all are there at once, drawn from an exponential distribution;
        ``all``: all at once.
    seed : int
        Of what is drawn.

    Raises
    ------
    PerfError
        If it is none of these.
    """
    if rate == "all":
        return replace(requests, arrivals_s=np.zeros(len(requests.prompts)))
    try:
        value = float(rate.removeprefix("x"))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise PerfError("rate must be 'all', a number of requests a second, or a factor such as "
                        f"x20, not {rate!r}")
    arrivals = requests.arrivals_s
    if rate.startswith("x"):
        return replace(requests, arrivals_s=arrivals / value)
    count, span = len(arrivals), float(arrivals[-1])
    if not span:
        gaps = np.random.default_rng(seed).exponential(1 / value, count)
        gaps[0] = 0
        return replace(requests, arrivals_s=np.cumsum(gaps))
    return replace(requests, arrivals_s=arrivals * ((count - 1) / value / span))
