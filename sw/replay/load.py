"""A trace's requests, scaled to a machine: lengths to its context, seconds to its time."""

from dataclasses import dataclass

import numpy as np

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.runtime.job import RequestSpec
from ouroboros.sw.wafer.chain import Ints
from ouroboros.sw.wafer.requests import Requests

__all__ = ["Load", "ReplayError", "scale", "specs"]


class ReplayError(OuroborosError):
    """A load that cannot be played."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests as a machine gets them, in the order of their arrivals: ``(requests,)`` each."""

    arrivals: Ints
    """Ticks: cycles, or on the golden machine tokens."""
    prompts: Ints
    """Tokens, at least 1."""
    outputs: Ints
    """Tokens to generate, at least 1."""
    factor: float
    """What lengths were multiplied by."""
    name: str
    """Where they come from."""


def scale(requests: Requests, *, context: int, second: float,
          factor: float | None = None) -> Load:
    """Requests with lengths and times of a machine.

    Parameters
    ----------
    context : int
        Positions of a sequence.
    second : float
        Ticks to a second.
    factor : float, optional
        Multiplies every length, rounded up; by default the largest, at most 1, with which all fit.

    Raises
    ------
    ReplayError
        If the factor is not positive.
    """
    if factor is None:
        factor = min(1.0, context / requests.longest)
        while _lengths(requests, factor).sum(axis=0).max() > context:
            factor *= 0.995
    if not factor > 0:
        raise ReplayError(f"scale must be above 0, not {factor!r}")
    prompts, outputs = _lengths(requests, factor)
    return Load(np.round(requests.arrivals_s * second).astype(np.int64), prompts, outputs, factor,
                requests.name)


def _lengths(requests: Requests, factor: float) -> Ints:
    lengths = np.stack([requests.prompts, requests.outputs])
    found: Ints = np.maximum(np.ceil(lengths * factor), 1).astype(np.int64)
    return found


def specs(load: Load, *, vocab_size: int, context: int, seed: int = 0, cancel: float = 0.0,
          first: int = 0) -> tuple[RequestSpec, ...]:
    """Requests with prompts that are drawn.

    Parameters
    ----------
    vocab_size : int
        Ids are drawn below.
    seed : int
        Of all draws.
    cancel : float
        Share of requests that is given up, at a random time before the end of what it would take a
        machine that computes a token a tick.
    first : int
        Lowest id that is drawn.

    Raises
    ------
    ReplayError
        If a prompt is longer than the context, or the share is out of range.
    """
    if not 0 <= cancel <= 1:
        raise ReplayError(f"cancel must be 0 to 1, not {cancel!r}")
    if len(long := np.flatnonzero(load.prompts > context)):
        raise ReplayError(
            f"request {long[0] + 1} of {load.name}: prompt must be at most {context} tokens (the "
            f"context) once it is scaled, not {load.prompts[long[0]]}; give a smaller --scale")
    rng = np.random.default_rng(seed)
    found = []
    span = max(int(load.arrivals[-1]), int((load.prompts + load.outputs).sum()))
    for arrival, prompt, output in zip(load.arrivals, load.prompts, load.outputs, strict=True):
        ids = tuple(rng.integers(first, vocab_size, prompt).tolist())
        given_up = rng.random() < cancel
        when = int(arrival) + int(rng.integers(0, max(span - int(arrival), 1)))
        found.append(RequestSpec(prompt=ids, limit=int(output), logits="none",
                                 arrival=int(arrival), cancel_at=when if given_up else None))
    return tuple(found)
