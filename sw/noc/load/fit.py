"""The two constants of the link-load model, fitted to the cycle model.

Fitted on uniform traffic on 8 x 8, packets of 1, 4 and 8 flits, at 0.2 to 0.8 of saturation; per
number and depth of channels. ``link_held`` says how far they hold elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ouroboros.hw.params.values import read_values
from ouroboros.sw.lib.folders import cache_folder, checkout
from ouroboros.sw.lib.write import write
from ouroboros.sw.noc.cycle.model import run, simulate
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import LabOptions, experiment
from ouroboros.sw.noc.load.theory import loads_of
from ouroboros.sw.noc.study.saturation import saturation

__all__ = ["FITS", "Fit", "fit", "load_of_saturation", "measured_latency", "own_fits",
           "read_fit", "write_fit"]

FITS = Path(__file__).with_suffix(".toml")
"""Fitted constants that ship with the project, by channels and depth."""
CONSTANTS = ("blocking", "sharing", "worst")
FRACTIONS = (0.2, 0.4, 0.6, 0.8)
LENGTHS = (1, 4, 8)
BLOCKINGS = tuple(step / 50 for step in range(201))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Constants of ``LinkParams`` for one kind of router."""

    vcs: int
    depth: int
    blocking: float
    sharing: float
    worst: float
    """Largest relative error of latency over the points of the fit."""


def read_fit(vcs: int, depth: int) -> Fit:
    """Constants that were fitted.

    Raises
    ------
    NocError
        If there are none for such routers.
    """
    fits = _fits()
    if (vcs, depth) not in fits:
        known = ", ".join(f"{one[0]} x {one[1]}" for one in sorted(fits))
        raise NocError(f"link-load model must be fitted for {vcs} channels of {depth} flits "
                       f"(ouroboros noc links --fit); fitted are {known}")
    return fits[vcs, depth]


def own_fits() -> Path:
    """File that new fits go to: the shipped one of a working copy, else the user's own."""
    return FITS if checkout() is not None else cache_folder("links") / FITS.name


def write_fit(fitted: Fit) -> None:
    """Keep constants, in place of those for the same routers."""
    rows = {**_fits(), (fitted.vcs, fitted.depth): fitted}
    text = ("# Written by: ouroboros noc links --fit --vcs N --depth N (sw/noc/load/fit.py says "
            "how).\n")
    for (vcs, depth), row in sorted(rows.items()):
        source = f"ouroboros noc links --fit --vcs {vcs} --depth {depth}"
        text += f"\n[vcs{vcs}_depth{depth}]\n" + "".join(
            f'{name} = {{ mid = {getattr(row, name)}, unit = "1", source = "{source}" }}\n'
            for name in CONSTANTS)
    own_fits().parent.mkdir(parents=True, exist_ok=True)
    write(own_fits(), text)


def _fits() -> dict[tuple[int, int], Fit]:
    """Shipped fits, and the user's own, by channels and depth."""
    values = read_values(FITS)
    if own_fits().is_file():
        values |= read_values(own_fits())
    found: dict[tuple[int, int], dict[str, float]] = {}
    for key, value in values.items():
        router, name = key.split(".")
        vcs, depth = (int(part) for part in router.removeprefix("vcs").split("_depth"))
        found.setdefault((vcs, depth), {})[name] = value.mid
    return {key: Fit(vcs=key[0], depth=key[1], **constants) for key, constants in found.items()}


def load_of_saturation(options: LabOptions) -> float:
    """Saturation of the cycle model, with shorter runs."""
    return saturation(replace(options, warmup_cycles=1000, measure_cycles=4000,
                              drain_cycles=4000), run)


def measured_latency(options: LabOptions) -> float:
    """Mean latency by the cycle model, as if packets had gone the mean number of hops.

    What chance did to the hops in a run of finite length says nothing about contention.
    """
    found = simulate(options)
    if not found.counts.finished:
        raise NocError(f"load must be below saturation, not {options.traffic.rate:g}")
    hops = found.hops_routers.mean() - 1
    return float(found.latency.mean() - 2 * hops + 2 * mean_hops(options))


def mean_hops(options: LabOptions) -> float:
    """Mean links of a packet's way."""
    mesh = replace(options.mesh, die_width=options.mesh.width, die_height=options.mesh.height)
    single = replace(options.traffic, packet_min=1, packet_max=1, rate=1.0)
    plain = replace(options, mesh=mesh, traffic=single)
    return (float(loads_of(plain).zero_load.mean()) - 3) / 2


def fit(vcs: int, depth: int, progress: Callable[[int, int], None] | None = None) -> Fit:
    """Fit both constants to least squares of the relative error of latency."""
    points: list[tuple[LabOptions, float]] = []
    for length in LENGTHS:
        options = experiment(vcs=vcs, vc_depth=depth, packet_min=length, packet_max=length,
                             warmup_cycles=2000, measure_cycles=30_000)
        saturated = load_of_saturation(options)
        for fraction in FRACTIONS:
            point = options.offering(fraction * saturated)
            points.append((point, measured_latency(point)))
            if progress is not None:
                progress(len(points), len(LENGTHS) * len(FRACTIONS))
    want = np.array([latency for _, latency in points])
    best: tuple[float, float, float, float] | None = None
    for blocking in BLOCKINGS:
        # Latency is linear in the sharing.
        none, full = (np.array([loads_of(point, blocking, sharing).latency.mean()
                                for point, _ in points]) for sharing in (0.0, 1.0))
        if not np.isfinite(full).all():
            continue
        slope = (full - none) / want
        miss = 1 - none / want
        sharing = float(np.clip(slope @ miss / (slope @ slope), 0, 1.5)) if slope.any() else 0.0
        errors = slope * sharing - miss
        score = float(errors @ errors)
        if best is None or score < best[0]:
            best = (score, blocking, sharing, float(abs(errors).max()))
    if best is None:
        raise NocError(f"{vcs} channels of {depth} flits must carry the loads of the fit")
    _, blocking, sharing, worst = best
    return Fit(vcs=vcs, depth=depth, blocking=round(blocking, 3), sharing=round(sharing, 3),
               worst=round(worst, 3))
