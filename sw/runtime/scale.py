"""What a large machine is simulated with where the user does not say, and what that takes."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.program.program import Program
from ouroboros.sw.program.ways import routers
from ouroboros.sw.runtime.job import IMAGE, MESH, Job

__all__ = ["BIG_CORES", "NeedError", "Needs", "built_cores", "is_big", "load_by", "needs"]

BIG_CORES = 64
"""Meshes of more are simulated as their program needs; smaller ones are built whole, so that all
programs share one build."""
_TWIN_BYTES = 4
"""A weight of a macro's twin: half of a 64-bit pair."""
_TILE_BYTES = 1_000_000
"""Of a tile beside its weights: buffer, tables, page table, registers."""
_PROGRAM_BYTES = 8
"""For a byte of an image: checkpoint in floats, integer model, entries of the job, twice, as the
simulator is a process of its own."""
_BASE_BYTES = 400_000_000
"""Two Pythons."""
_BUILD_BYTES = 2_500_000_000
"""Of compiling a tile and the mesh; two compilers at once."""
_BUILD_DISK_BYTES = 800_000_000
"""Sources, objects and precompiled headers."""


class NeedError(OuroborosError):
    """A run for which there is too little memory or disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What a simulation takes, estimated from sizes, and what there is."""

    memory_bytes: int
    """Of its processes together."""
    disk_bytes: int
    """Of the cache folder: the build, and images while they are loaded."""
    memory_free_bytes: int
    """What the system can give."""
    disk_free_bytes: int
    """Of the file system of the cache folder."""

    def check(self) -> None:
        """Refuse what will not go.

        Raises
        ------
        NeedError
            If there is less than is needed.
        """
        for what, need, free in (("memory", self.memory_bytes, self.memory_free_bytes),
                                 ("disk", self.disk_bytes, self.disk_free_bytes)):
            if need > free:
                raise NeedError(f"free {what} must be {need / 1e9:.1f} GB for this simulation, "
                                f"not {free / 1e9:.1f} GB: free some, or run on golden")


def is_big(machine: Machine) -> bool:
    """Whether a machine is simulated with twins, from images, and without its idle cores."""
    return machine.mesh.cores > BIG_CORES


def built_cores(program: Program) -> frozenset[Position] | None:
    """The cores that a simulation of a program builds; None for all.

    On a big mesh those that a packet can pass: the others do nothing at all, so that leaving them
    out changes no cycle. Idle ones that are passed are whole cores, since a router answers through
    its core.
    """
    if not is_big(program.machine) or program.detours is not None:
        return None
    return routers(program)


def load_by(program: Program, wanted: str | None) -> str:
    """How a program is loaded: as wanted, or by images on a big mesh."""
    if wanted is not None:
        return wanted
    return IMAGE if is_big(program.machine) and program.detours is None else MESH


def needs(job: Job) -> Needs:
    """What a job takes under Verilator."""
    machine = job.program.machine
    cores = machine.mesh.cores if job.built is None else len(job.built)
    weights = machine.core.macros * machine.cim.rows * machine.cim.outputs
    image = sum(len(write.values) * (max(write.values, default=0).bit_length() // 8 + 16)
                for one in job.program.images.values() for write in one.writes)
    run = (_BASE_BYTES + cores * (_TILE_BYTES + _TWIN_BYTES * weights)
           + _PROGRAM_BYTES * image)
    folder = cache_folder("verilator")
    while not folder.exists():
        folder = folder.parent
    return Needs(memory_bytes=max(run, _BUILD_BYTES), memory_free_bytes=_memory_free(),
                 disk_bytes=_BUILD_DISK_BYTES + 2 * image,
                 disk_free_bytes=shutil.disk_usage(folder).free)


def _memory_free() -> int:
    """Memory that programs can get without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
