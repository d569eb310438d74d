"""Seeded maps of dead cores. A core's id is ``x + width * y``, both from 0."""

from collections.abc import Collection

import numpy as np

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.defects.process import REGIONS, DefectError, Process

__all__ = ["defect_map", "exact_map"]


def defect_map(mesh: MeshParams, process: Process, seed: int, *,
               region: str = "core") -> tuple[int, ...]:
    """Dead cores drawn from a process; their number varies with the seed.

    Each region draws a density, each core of it dies with probability 1 - exp(-A D). So a single
    core is good with exactly the model's yield, and with ``region="die"`` dead cores cluster.

    Returns
    -------
    tuple of int
        Ascending core ids.

    Raises
    ------
    DefectError
        If seed or region are none.
    """
    rng = _generator(seed)
    if region not in REGIONS:
        raise DefectError(f"region of equal density must be one of {list(REGIONS)}, "
                          f"not {region!r}")
    ids = np.arange(mesh.cores)
    where = ids
    if region == "die":
        across = mesh.width // mesh.die_width
        where = (ids % mesh.width // mesh.die_width
                 + across * (ids // mesh.width // mesh.die_height))
    density = process.densities(rng, int(where[-1]) + 1)[where]
    dead = rng.random(mesh.cores) < -np.expm1(-process.defects_per_core * density)
    return tuple(np.flatnonzero(dead).tolist())


def exact_map(mesh: MeshParams, dead: int, seed: int, *,
              without: Collection[int] = ()) -> tuple[int, ...]:
    """Exactly ``dead`` cores, all sets equally likely, none of ``without`` among them.

    Raises
    ------
    DefectError
        If there are not that many cores, or the seed is none.
    """
    free = np.setdiff1d(np.arange(mesh.cores), np.array(sorted(without), np.int64))
    if not 0 <= dead <= len(free):
        raise DefectError(f"dead cores must be between 0 and {len(free)} (cores), not {dead!r}")
    order = np.argsort(_generator(seed).random(len(free)), kind="stable")
    return tuple(np.sort(free[order[:dead]]).tolist())


def _generator(seed: int) -> np.random.Generator:
    if seed < 0:
        raise DefectError(f"seed must be at least 0, not {seed!r}")
    return np.random.default_rng(seed)
