"""How fast simulators and models run: measurements in one form, whatever is measured."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import PROMPTS
from ouroboros.sw.api.shared import OnMachine, OnWafer
from ouroboros.sw.api.weights import WithTexts
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.noc.load.load import Flows, LinkParams, link_loads
from ouroboros.sw.place.anneal import anneal
from ouroboros.sw.place.curves import baselines
from ouroboros.sw.place.instance import read_instance
from ouroboros.sw.place.start import best_start
from ouroboros.sw.runtime.job import Progress
from ouroboros.sw.runtime.service import serve

__all__ = ["LinksSpeed", "ModelSpeed", "PlaceSpeed", "Speed", "as_results", "speed_of_links",
           "speed_of_model", "speed_of_placer"]

KEYS = ("bit_exact", "cycles", "cycles_per_s", "tokens_per_s", "generated_tokens", "build_s",
        "load_s", "run_s")
FLOWS = 1_000_000
REPEATS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """One measurement."""

    what: str
    """What ran."""
    unit: str
    """What is counted."""
    per_processor_s: float | None = None
    """So many in a second of processor time."""
    per_wall_s: float | None = None
    """So many in a second of wall time, beside whatever else is running."""
    build_s: float | None = None
    """Seconds before it could run; near 0 where it was built before."""
    more: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What else was measured."""


def as_results(found: Sequence[Speed]) -> dict[str, Any]:
    """For a file."""
    return {"speeds": [dataclasses.asdict(one) for one in found]}


@dataclass(frozen=True, kw_only=True)
class ModelSpeed(WithTexts, OnMachine):
    """A whole model under Verilator."""

    tokens: int = option(8, metavar="N", least=1)
    """Tokens that each of four sequences generates."""


def speed_of_model(options: ModelSpeed, progress: Progress) -> tuple[Speed, ...]:
    """Four sequences with bit-serial macros, then with their twin."""
    source = options.source()
    machine = load_machine(options.machine)
    found = []
    for name, twin in (("bit_serial", False), ("twin", True)):
        summary = serve(source, machine, PROMPTS, tokens=options.tokens, on="verilator",
                        twin=twin, progress=progress).summary()
        for unit, per_s in (("cycles", summary["cycles_per_s"]),
                            ("tokens", summary["tokens_per_s"])):
            found.append(Speed(what=name, unit=unit, per_wall_s=per_s, build_s=summary["build_s"],
                               more={key: summary[key] for key in KEYS}))
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class PlaceSpeed(Options):
    """The annealer's kernel."""

    instance: Path = option(placed=True)
    """Tiles, traffic and grid as JSON, plain or gzipped."""
    seconds: float = option(5.0, metavar="S", above=0)
    """Wall time."""
    threads: int = option(1, metavar="N", least=1, most=64)
    """Threads of the search."""


def speed_of_placer(options: PlaceSpeed) -> tuple[Speed, ...]:
    """Evaluated moves only: those outside the grid, on dead cores or outside the thread's stripe
    are drawn but do not count.
    """
    instance = read_instance(options.instance)
    start = best_start(instance, baselines(instance))
    anneal(instance, start, moves=1000, threads=options.threads)        # compiles
    began = time.process_time()
    found = anneal(instance, start, seconds=options.seconds, threads=options.threads)
    processor_s = time.process_time() - began
    return (Speed(
        what=f"{instance.name}, {options.threads} thread(s)", unit="moves",
        per_processor_s=found.evaluated / processor_s, per_wall_s=found.moves_per_s,
        more={"moves": found.evaluated, "accepted": found.accepted, "wall_s": found.seconds,
              "processor_s": processor_s}),)


@dataclass(frozen=True, kw_only=True)
class LinksSpeed(OnWafer):
    """The link-load model."""

    seed: int = option(1, metavar="N")
    """Of the pairs that are drawn."""


def speed_of_links(options: LinksSpeed, flows: int = FLOWS) -> tuple[Speed, ...]:
    """Packets of random pairs of the machine's mesh, one at a time; the best of three runs."""
    mesh = load_machine(options.machine).mesh
    rng = np.random.default_rng(options.seed)
    sources, ends = rng.integers(0, mesh.cores, (2, flows)).astype(np.int32)
    drawn = Flows(sources=sources, ends=ends, rates=np.full(flows, 1e-6),
                  flits=np.full(flows, 4, np.int32))
    best = 0.0
    for _ in range(REPEATS):
        started = time.process_time()
        link_loads(LinkParams(mesh=mesh), drawn)
        best = max(best, flows / (time.process_time() - started))
    return (Speed(what=f"link-load model, {mesh.width} x {mesh.height} cores", unit="packets",
                  per_processor_s=best),)
