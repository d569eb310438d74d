"""Lengths of requests: traces by their published means and deviations, or from files.

The texts of the traces are no part of the project; lengths are drawn from gamma distributions with
the published mean and standard deviation, which have the skew of such lengths.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.sw.baselines.traffic import Traffic, read_traffic
from ouroboros.sw.tier.errors import TierError

__all__ = ["TRACES", "Lengths", "draw", "from_file"]

Whole = npt.NDArray[np.int64]
ROUNDS = 50
"""Of drawing again what was too long; after these it is cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """Of a trace."""

    input_mean: float
    """Tokens of a prompt."""
    input_deviation: float
    """Standard deviation."""
    input_most: int
    """Longest."""
    output_mean: float
    """Tokens generated."""
    output_deviation: float
    """Standard deviation."""
    output_most: int
    """Longest."""
    source: str
    """Where they come from."""


CHIME = "CHIME, ISCA 2026, table of traces: means and deviations; longest: "
TRACES = {
    "openr1": Lengths(
        input_mean=96.0, input_deviation=75.1, input_most=8192, output_mean=12684.1,
        output_deviation=8464.6, output_most=32768, source=CHIME + "the model's 32,768"),
    "dolphin": Lengths(
        input_mean=201.9, input_deviation=563.0, input_most=2000, output_mean=3926.2,
        output_deviation=4216.0, output_most=14500,
        source=CHIME + "what the publication's GPU still serves with OPT-66B"),
    "openthoughts": Lengths(
        input_mean=89.4, input_deviation=66.7, input_most=8192, output_mean=6366.7,
        output_deviation=4662.9, output_most=32768, source=CHIME + "the model's 32,768"),
}


def draw(name: str, requests: int, seed: int = 0) -> Traffic:
    """Requests of a trace, all there from the beginning.

    Raises
    ------
    TierError
        If there is no such trace.
    """
    if name not in TRACES:
        raise TierError(f"trace must be one of {', '.join(TRACES)} or the path of a .csv file, not "
                        f"{name!r}")
    one, rng = TRACES[name], np.random.default_rng(seed)
    inputs = _gamma(rng, requests, one.input_mean, one.input_deviation, one.input_most)
    outputs = _gamma(rng, requests, one.output_mean, one.output_deviation, one.output_most)
    return Traffic(arrival_s=np.zeros(requests), input_tokens=inputs, output_tokens=outputs,
                   source=f"{requests} lengths as of {name}, seed {seed}")


def from_file(path: Path) -> Traffic:
    """Requests of a CSV file (arrival_s, input_tokens, output_tokens), all at once."""
    return read_traffic(path).scaled(float("inf"))


def _gamma(rng: np.random.Generator, count: int, mean: float, deviation: float,
           most: int) -> Whole:
    shape = (mean / deviation) ** 2
    found = rng.gamma(shape, mean / shape, count)
    for _ in range(ROUNDS):
        long = found > most
        if not long.any():
            break
        found[long] = rng.gamma(shape, mean / shape, int(long.sum()))
    # What was drawn again is shorter: the mean is restored.
    whole: Whole = np.clip(found * (mean / found.mean()), 1, most).astype(np.int64)
    return whole
