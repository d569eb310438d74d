"""The back ends ``verilator`` and ``icarus``: a job on the RTL of the whole machine."""

import contextlib
import hashlib
import json
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.core.preload import CLOCKS, PRELOAD, preload_verilog
from ouroboros.hw.lib.cycles import CYCLE_COUNT, CYCLE_COUNT_VERILOG
from ouroboros.hw.lib.library import Library
from ouroboros.hw.mesh.die import Die
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.runtime.job import (
    IMAGE,
    Generated,
    Job,
    JobResult,
    Progress,
    Waves,
    partial,
)
from ouroboros.tb.flow.build import Build, SimulationError, build, recording, run
from ouroboros.tb.flow.stepped import Stepped
from ouroboros.tb.flow.toolchain import ToolError, find
from ouroboros.tb.mesh.tap import WAVES, read_taps, tapped, waved

__all__ = ["build_die", "emit_die", "icarus", "run_job", "verilator"]

TILE = Stepped(
    module="tile",
    wakes=("rst", *(f"inputs__{n}__valid" for n in range(4)),
           *(f"outputs__{n}__credit" for n in range(4))),
    pulses=(*(f"outputs__{n}__valid" for n in range(4)),
            *(f"inputs__{n}__credit" for n in range(4))),
    gates=("gate_awake__DOT__open", "gate_moving__DOT__open"))
"""A tile sleeps while the clocks of its core and its router stand still."""
HW = Path(__file__).resolve().parents[2] / "hw"
POLL_S = 0.2


def build_die(machine: Machine, sim: str, *, twin: bool = False, waves: bool = False,
              tap: bool = False, record: Waves | None = None,
              built: frozenset[Position] | None = None, preload: bool = False) -> Build:
    """Emit and compile the machine, unless it was compiled before.

    Parameters
    ----------
    twin : bool
        The behavioural twin in place of the bit-serial macro.
    tap : bool
        Cores write down what they send.
    record : Waves
        Icarus: waves of one core.
    built : frozenset of Position
        The cores that there are; None: all.
    preload : bool
        Cores can write images of their own.
    """
    # Waveforms show all of a machine.
    stepped = sim == "verilator" and not recording(waves)
    sources = emit_die(machine, twin=twin, built=built, preload=preload, stepped=stepped)
    if tap:
        sources = tapped(sources, machine)
    if record is not None:
        sources = waved(sources, record)
    return build("die", sources, sim=sim, stepped=TILE if stepped else None, waves=waves)


def emit_die(machine: Machine, *, twin: bool = False,
             built: frozenset[Position] | None = None, preload: bool = False,
             stepped: bool = False) -> dict[str, str]:
    """Verilog of the machine by module name, from the cache if no source has changed since.

    Parameters
    ----------
    built, preload
        As of ``build_die``.
    stepped : bool
        For a simulation that leaves out cycles of sleeping tiles.
    """
    cores = None if built is None else sorted(built)
    key = hashlib.sha256(f"{machine!r} {twin} {cores} {preload} {stepped}".encode())
    for path in sorted(HW.rglob("*.*v")) + sorted(HW.rglob("*.py")):
        key.update(path.read_bytes())
    cached = cache_folder("rtl") / f"{machine.name}-{key.hexdigest()[:16]}.json"
    if cached.exists():
        texts: dict[str, str] = json.loads(cached.read_text())
        return texts
    library = Library()
    if twin:
        library.add_source("macro", twin_verilog(machine, "macro"))
    if preload:
        library.add_source(PRELOAD, preload_verilog(machine), clocks=CLOCKS)
    if stepped:
        library.add_source(CYCLE_COUNT, CYCLE_COUNT_VERILOG)
    library.define("die", lambda: Die(machine, library, built), params=machine)
    texts = dict(library.sources())
    cached.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed: another process may look at the same time.
    aside = cached.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(texts))
    aside.rename(cached)
    return texts


def verilator(job: Job, progress: Progress) -> JobResult:
    """Run a job under Verilator."""
    return _run("verilator", job, progress)


def icarus(job: Job, progress: Progress) -> JobResult:
    """Run a job under Icarus Verilog."""
    return _run("icarus", job, progress)


def _run(sim: str, job: Job, progress: Progress) -> JobResult:
    try:
        return _simulate(sim, job, progress)
    except (ToolError, SimulationError) as error:
        raise OuroborosError(str(error)) from error


def _simulate(sim: str, job: Job, progress: Progress) -> JobResult:
    # Before the machine is emitted, which takes its time.
    find(sim)
    progress("build", 0, 1)
    started = time.perf_counter()
    built = build_die(job.program.machine, sim, twin=job.twin, tap=job.tap, record=job.waves,
                      built=job.built, preload=job.load == IMAGE)
    build_s = time.perf_counter() - started
    progress("build", 1, 1)
    result = run_job(built, job, progress)
    result.build_s = build_s
    return result


def run_job(built: Build, job: Job, progress: Progress) -> JobResult:
    """Run a job on a machine compiled by ``build_die``, or one with other modules in it.

    When the user interrupts it, the simulation ends at once and what it has generated is kept.

    Raises
    ------
    SimulationError
        If the simulation does not end well.
    KeyboardInterrupt
        If the user interrupts it before the first generated token.
    """
    with tempfile.TemporaryDirectory(prefix="ouroboros-") as folder:
        files = {name: Path(folder) / name
                 for name in ("job", "result", "progress", "tokens")}
        files["job"].write_bytes(pickle.dumps(job))
        files["progress"].touch()
        files["tokens"].touch()
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(files["progress"], progress, ended))
        watcher.start()
        try:
            ran = run(built, test_module="ouroboros.tb.mesh.bench_job", env={
                "OUROBOROS_STALL": os.environ.get("OUROBOROS_STALL", "0"),
                **{f"OUROBOROS_{name.upper()}": str(path) for name, path in files.items()}})
        except KeyboardInterrupt:
            return partial(job, _tokens(files["tokens"]))
        finally:
            ended.set()
            watcher.join()
        result: JobResult = pickle.loads(files["result"].read_bytes())
    if job.tap:
        result.sent = read_taps(ran.directory, job.program.machine)
    if job.waves is not None:
        result.waves = ran.directory / WAVES
    return result


def _tokens(path: Path) -> Iterator[Generated]:
    """Tokens that a simulation wrote; the last may be cut off."""
    with path.open("rb") as file, contextlib.suppress(EOFError, pickle.UnpicklingError):
        while True:
            yield pickle.load(file)


def _watch(path: Path, progress: Progress, ended: threading.Event) -> None:
    """Passes on what the simulator's process writes, until it has ended."""
    with path.open() as file:
        while not ended.wait(POLL_S):
            for line in file:
                progress(*json.loads(line))
        for line in file:
            progress(*json.loads(line))
