"""Requests of the experiments: five mixes of lengths, or a trace, the same for every machine."""

import hashlib
from pathlib import Path

import numpy as np

from ouroboros.sw.baselines.traffic import Traffic, chat, equal, read_traffic
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.requests import Requests

__all__ = ["CHAT", "MIXES", "as_requests", "drawn"]

CHAT = "chat"
"""Log-normal lengths with the means of ShareGPT on LMDeploy's page: 247 in, 233 out."""
MIXES = (CHAT, "512:512", "2048:128", "128:128", "128:2048")
"""Five mixes; the paper names none of its own."""


def drawn(mix: str, requests: int, *, seed: int = 0, rate: float = 0.0,
          digest: str = "") -> Traffic:
    """Requests of a mix, or of a trace's file.

    Parameters
    ----------
    mix : str
        ``chat``, ``PROMPT:OUTPUT``, or the path of a CSV file.
    requests : int
        How many; of a trace the first.
    rate : float
        Requests a second, the times between them drawn or, of a trace, as in it; 0: all at once.
    digest : str
        SHA-256 that the file must have.

    Raises
    ------
    OuroborosError
        If a file is no trace, or is not the one that was asked for.
    """
    if mix.endswith(".csv"):
        if digest and hashlib.sha256(Path(mix).read_bytes()).hexdigest() != digest:
            raise PerfError(f"{mix}: must be the file that the experiment was begun with")
        found = read_traffic(Path(mix))
        arrivals = found.arrival_s[:requests] - found.arrival_s[0]
        if rate:
            arrivals = arrivals * ((len(arrivals) - 1) / rate / max(arrivals[-1], 1e-12))
        return Traffic(arrival_s=arrivals if rate else arrivals * 0,
                       input_tokens=found.input_tokens[:requests],
                       output_tokens=found.output_tokens[:requests], source=Path(mix).name)
    if mix == CHAT:
        found = chat(requests, 247, 233, seed=seed, spread=1.0, longest=1024)
    else:
        prompt, _, output = mix.partition(":")
        found = equal(requests, int(prompt), int(output))
    if not rate:
        return found
    gaps = np.random.default_rng(seed).exponential(1 / rate, requests)
    gaps[0] = 0
    return Traffic(arrival_s=np.cumsum(gaps), input_tokens=found.input_tokens,
                   output_tokens=found.output_tokens, source=f"{mix} at {rate:g}/s")


def as_requests(traffic: Traffic) -> Requests:
    """The same for the wafer model."""
    return Requests(traffic.arrival_s, traffic.input_tokens, traffic.output_tokens, traffic.source)
