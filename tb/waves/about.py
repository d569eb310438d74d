"""What was recorded: a description that lies beside a file of waves."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.mesh.wafer import tile_path
from ouroboros.hw.params.cim import CimParams
from ouroboros.hw.params.core import CoreParams
from ouroboros.hw.params.kv import KvParams
from ouroboros.hw.params.machine import Machine, MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.position import Position
from ouroboros.sw.api.waves import WAVES_MARK
from ouroboros.sw.lib.json_file import read_object
from ouroboros.sw.lib.write import json_text, write
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.waves import WavesError, description
from ouroboros.tb.waves.encodings import Encodings, encodings

__all__ = ["About", "Stage", "about", "read_about", "write_about"]

PARTS = {"cim": CimParams, "core": CoreParams, "noc": NocParams, "kv": KvParams,
         "mesh": MeshParams}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the program that ran."""

    name: str
    """Its name."""
    core: Position
    """Where."""
    index: int
    """Number in its core."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """All that is needed to read the waves."""

    machine: Machine
    """Sizes."""
    cores: tuple[Position, ...]
    """Which were recorded."""
    recorded: tuple[int, int]
    """First cycle and last."""
    stages: tuple[Stage, ...]
    """Of the program, on any core."""
    names: Encodings
    """Of values of state machines and enumerations."""

    @property
    def tiles(self) -> dict[Position, str]:
        """Where each core's tile is below the top."""
        return {core: tile_path(self.machine, core) for core in self.cores}

    @property
    def stage_names(self) -> dict[tuple[Position, int], str]:
        """Names by core and number."""
        return {(one.core, one.index): one.name for one in self.stages}


def about(program: Program, cores: tuple[Position, ...], recorded: tuple[int, int]) -> About:
    """Of a run of a program."""
    return About(machine=program.machine, cores=cores, recorded=recorded,
                 stages=tuple(Stage(one.name, one.core, one.index) for one in program.stages),
                 names=encodings(program.machine))


def write_about(path: Path, found: About) -> None:
    """Write it beside the file of waves ``path``."""
    write(description(path), json_text(dataclasses.asdict(found), WAVES_MARK))


def read_about(path: Path) -> About:
    """Of the file of waves ``path``.

    Raises
    ------
    WavesError
        If it is not there, or not such a description.
    """
    beside = description(path)
    if not beside.is_file():
        raise WavesError(f"{path}: needs {beside}, which says what was recorded and is written "
                         "beside the waves")
    found: dict[str, Any] = dict(read_object(beside, WavesError))
    try:
        if found["schema"] != WAVES_MARK:
            raise ValueError(f"schema is {found['schema']!r}")
        machine = found["machine"]
        mesh = {**machine["mesh"], "more_hosts": tuple(map(tuple, machine["mesh"]["more_hosts"]))}
        return About(
            machine=Machine(name=machine["name"], **{
                name: part(**(mesh if name == "mesh" else machine[name]))
                for name, part in PARTS.items()}),
            cores=tuple((x, y) for x, y in found["cores"]),
            recorded=(found["recorded"][0], found["recorded"][1]),
            stages=tuple(Stage(one["name"], (one["core"][0], one["core"][1]), one["index"])
                         for one in found["stages"]),
            names={path: {int(value): name for value, name in names.items()}
                   for path, names in found["names"].items()})
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise WavesError(f"{beside}: must be as --waves wrote it ({error})") from error
