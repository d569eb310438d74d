"""Load curves: a sweep over offered loads, the load of saturation, one curve against another."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.lab import Run, runner
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.load.theory import channel_bound, zero_load_latency
from ouroboros.sw.noc.study.booksim import Reference, read_reference, row_of
from ouroboros.sw.noc.study.saturation import saturation

__all__ = ["Comparison", "Curves", "Saturation", "against_booksim", "against_other", "auto_rates",
           "saturation_of", "sweep", "title_of"]

FRACTIONS = (0.05, 0.2, 0.35, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""Of the channel-load bound, of a sweep."""
COMPARED = (0.1, 0.2, 0.4, 0.6, 0.7, 0.8)
"""Of saturation, of a comparison."""
OVERLOAD_SEEDS = (1, 2, 3)
LIMITS = (("latency", 0.6), ("latency", 0.8), ("accepted", None))
"""Quantity, and part of saturation up to which its largest error is told."""
Advance = Callable[[int, int], None]


def title_of(options: LabOptions) -> str:
    """What is run, in a line."""
    mesh, noc, traffic = options.mesh, options.noc, options.traffic
    size = f"{traffic.packet_min}" if traffic.packet_min == traffic.packet_max else (
        f"{traffic.packet_min} to {traffic.packet_max}")
    return (f"{mesh.width} x {mesh.height} {traffic.pattern}, {noc.vcs} channels of "
            f"{noc.vc_depth} flits, packets of {size}{', ordered' if traffic.ordered else ''}")


def overload(options: LabOptions, seed: int) -> LabOptions:
    """The experiment at offered load 1, for throughput."""
    rate = min(1.0, options.traffic.packet_flits)
    return replace(options.offering(rate), seed=seed, drain_cycles=0)


def auto_rates(options: LabOptions) -> list[float]:
    """Parts of the channel-load bound."""
    bound = channel_bound(options.offering(0.1))
    return [round(fraction * bound, 6) for fraction in FRACTIONS]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Points of a sweep."""

    options: LabOptions
    """What was run, but for the rate."""
    rows: tuple[dict[str, Any], ...]
    """A point each, by the columns of BookSim2's tables."""
    interrupted: bool = False
    """The user ended it; these are the points done by then."""

    def drawn(self, references: Sequence[Reference] = ()) -> list[dict[str, Any]]:
        """Points of a picture, with those of BookSim2 that have the same mesh and traffic.

        Its pipeline is patched2 (two cycles per hop), shifted by the difference of the zero-load
        latencies.
        """
        found = [row for row in self.rows if row["mode"] == "latency"]
        return found + [
            {"key": f"BookSim2 {ref.key}", "injection_rate": ref.options.traffic.rate,
             "packet_latency": None if ref.latency is None or ref.over
             else 2 * ref.latency - ref.in_our_time(ref.latency),
             "accepted": ref.accepted, "saturated": False, "reference": True}
            for ref in matching(references, self.options)
            if not ref.overload and ref.pipeline == "patched2"]

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"points": list(self.rows), "interrupted": self.interrupted}


def sweep(options: LabOptions, rates: Sequence[float], on: Sequence[str], *,
          with_overload: bool = True, advance: Advance | None = None) -> Curves:
    """Run every rate on every simulator, and overload with three seeds if wanted.

    Ctrl-C ends it and keeps the points done; before the first it is raised.
    """
    points = [options.offering(rate) for rate in rates]
    if with_overload:
        points += [overload(options, seed) for seed in OVERLOAD_SEEDS]
    rows: list[dict[str, Any]] = []
    ended = _collect(rows, ([row_of(point, run(point))] for run in map(runner, on)
                            for point in points), len(points) * len(on), advance)
    return Curves(options=options, rows=tuple(rows), interrupted=ended)


def _collect(rows: list[dict[str, Any]], points: Iterable[Iterable[dict[str, Any]]], total: int,
             advance: Advance | None) -> bool:
    """Add the rows of each point as it is done; True if the user ended it after the first."""
    try:
        for done, found in enumerate(points, start=1):
            rows += found
            if advance is not None:
                advance(done, total)
    except KeyboardInterrupt:
        if not rows:
            raise
        return True
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Saturation:
    """Where an experiment saturates."""

    load: float
    """Offered flits per node and cycle at which latency is three times ``zero_load_latency``."""
    channel_load_bound: float
    """Offered load that fills the busiest channel."""
    zero_load_latency: float
    """Cycles in an empty network."""
    on: str
    """What ran."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"saturation": self.load, "channel_load_bound": self.channel_load_bound,
                "zero_load_latency": self.zero_load_latency, "on": self.on}


def saturation_of(options: LabOptions, on: str) -> Saturation:
    """Search it."""
    some = options.offering(0.1)
    return Saturation(load=saturation(options, runner(on)), on=on,
                      channel_load_bound=channel_bound(some),
                      zero_load_latency=zero_load_latency(some))


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One curve held against another."""

    on: str
    """What is judged."""
    against: str
    """What it is held against."""
    rows: tuple[dict[str, Any], ...]
    """A quantity at a point each: found, wanted, relative error."""
    interrupted: bool = False
    """The user ended it; these are the points done by then."""

    def worst(self) -> dict[str, tuple[float, int]]:
        """Largest error, and points, of each quantity up to a part of saturation."""
        found = {}
        for quantity, limit in LIMITS:
            errors = [abs(row["error"]) for row in self.rows if row["quantity"] == quantity
                      and row["error"] is not None
                      and (limit is None or row["fraction"] <= limit + 1e-9)]
            if errors:
                name = quantity if limit is None else f"{quantity} up to {limit:g} of saturation"
                found[name] = max(errors), len(errors)
        return found

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"on": self.on, "against": self.against, "points": list(self.rows),
                "worst": {name: error for name, (error, _) in self.worst().items()},
                "interrupted": self.interrupted}


def against_other(options: LabOptions, on: str, against: str,
                  advance: Advance | None = None) -> Comparison:
    """Points at parts of saturation, as the cycle model finds it, and overload.

    Ctrl-C is as in ``sweep``.
    """
    one, other = runner(on), runner(against)
    saturated = saturation(options, runner("model"))

    def judged(fraction: float | None) -> list[dict[str, Any]]:
        if fraction is None:
            point = overload(options, options.seed)
            return [_judged(point, "accepted", None, one(point).accepted, other(point).accepted)]
        point = options.offering(fraction * saturated)
        return [_judged(point, "latency", fraction, one(point).packet_latency,
                        other(point).packet_latency)]

    rows: list[dict[str, Any]] = []
    ended = _collect(rows, map(judged, (*COMPARED, None)), len(COMPARED) + 1, advance)
    return Comparison(on=on, against=against, rows=tuple(rows), interrupted=ended)


def against_booksim(options: LabOptions, on: str, path: Path, *, pipeline: str, every: bool,
                    advance: Advance | None = None) -> Comparison:
    """Points at the rates of BookSim2's rows, latency minus our T0 plus its.

    Its saturation is the first rate of its table with a latency over 3 T0, so that it is not too
    low and no point is left out of the comparison up to 0.6 of it. Ctrl-C is as in ``sweep``.

    Raises
    ------
    NocError
        If the table has no such rows.
    """
    references = [ref for ref in read_reference(path) if ref.pipeline == pipeline]
    if not every:
        references = matching(references, options)
    if not references:
        raise NocError(f"{path.name}: must have rows of pipeline {pipeline} for these options")
    rows: list[dict[str, Any]] = []
    ended = _collect(rows, (_against_row(options, ref, references, runner(on))
                            for ref in references), len(references), advance)
    return Comparison(on=on, against="booksim", rows=tuple(rows), interrupted=ended)


def _against_row(options: LabOptions, ref: Reference, references: Sequence[Reference],
                 run: Run) -> list[dict[str, Any]]:
    there = ref.options
    point = replace(
        options, mesh=there.mesh,
        noc=replace(options.noc, vcs=there.noc.vcs, vc_depth=there.noc.vc_depth,
                    multicast_flits=there.noc.multicast_flits),
        traffic=replace(there.traffic, ordered=options.traffic.ordered,
                        hotspot=options.traffic.hotspot))
    if ref.overload:
        accepted = [run(overload(point, seed)).accepted for seed in OVERLOAD_SEEDS]
        return [_judged(point, "accepted", None, sum(accepted) / len(accepted), ref.accepted,
                        ref.key)]
    if ref.over or ref.latency is None:
        return []
    fraction = point.traffic.rate / _reference_saturation(references, ref.key)
    latency = run(point).packet_latency
    return [_judged(point, "latency", fraction,
                    None if latency is None else ref.in_our_time(latency), ref.latency, ref.key)]


def matching(references: Sequence[Reference], options: LabOptions) -> list[Reference]:
    """Rows with the same mesh, pattern, channels and packets."""
    def key(one: LabOptions) -> tuple[Any, ...]:
        return (one.mesh.width, one.mesh.height, one.traffic.pattern, one.noc.vcs,
                one.noc.vc_depth, one.traffic.packet_min, one.traffic.packet_max)
    return [ref for ref in references if key(ref.options) == key(options)]


def _reference_saturation(references: Sequence[Reference], key: str) -> float:
    """First rate of a key with latency over 3 T0, or else its last."""
    rates = [(ref.options.traffic.rate, ref.over) for ref in references
             if ref.key == key and not ref.overload]
    over = [rate for rate, is_over in rates if is_over]
    return min(over) if over else max(rate for rate, _ in rates)


def _judged(point: LabOptions, quantity: str, fraction: float | None, found: float | None,
            want: float | None, key: str = "") -> dict[str, Any]:
    return {"key": key or title_of(point), "rate": point.traffic.rate, "fraction": fraction,
            "quantity": quantity, "found": found, "want": want,
            "error": found / want - 1 if want and found is not None else None}
