"""Vectors that reach one port together: how much later each gets through than alone.

Links carry a flit a cycle. Where vectors of several inputs of a router want the same output, the
inputs take turns packet by packet; so a vector's share depends on where it joins the others, not on
how many they are. Packets are taken as a flow: each output's rate is divided evenly among the
inputs that have something for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.sw.program.image import Link

__all__ = ["Flow", "delays"]


@dataclass(frozen=True, slots=True)
class Flow:
    """A vector on its way."""

    first: int
    """Cycle in which its first header is on its first link."""
    flits: int
    """Headers included."""
    links: tuple[Link, ...]
    """Router outputs that it passes; the last one is that of all."""


def delays(flows: Sequence[Flow]) -> list[int]:
    """Cycles by which each flow's last flit is later than if it were alone.

    Raises
    ------
    ValueError
        If flows do not end at one link.
    """
    if len({flow.links[-1] for flow in flows}) > 1:
        raise ValueError("flows must end at one link")
    left = {n: float(flow.flits) for n, flow in enumerate(flows)}
    now, ends = 0.0, dict[int, float]()
    while left:
        # All of them at the shared link, wherever they join it.
        arrivals = {n: float(flows[n].first) for n in left}
        moving = [n for n in left if arrivals[n] <= now]
        coming = [at for at in arrivals.values() if at > now]
        if not moving:
            now = min(coming)
            continue
        rates = dict(_rates(flows, moving, 1.0, 1))
        step = min([left[n] / rates[n] for n in moving] + [at - now for at in coming])
        now += step
        for n in moving:
            left[n] -= rates[n] * step
            if left[n] < 1e-6:
                ends[n] = now
                del left[n]
    return [round(ends[n] - flow.first - flow.flits) for n, flow in enumerate(flows)]


def _rates(flows: Sequence[Flow], moving: Sequence[int], rate: float,
           depth: int) -> list[tuple[int, float]]:
    """Rates of flows that share the output ``depth`` links from the end, which has ``rate``."""
    inputs: dict[Link | None, list[int]] = {}
    for n in moving:
        links = flows[n].links
        inputs.setdefault(links[-depth - 1] if len(links) > depth else None, []).append(n)
    found: list[tuple[int, float]] = []
    for source, members in inputs.items():
        part = rate / len(inputs)
        if source is None:
            found += [(n, part / len(members)) for n in members]
        else:
            found += _rates(flows, members, part, depth + 1)
    return found
