"""The back ends ``verilator`` and ``icarus``: a job on the RTL of the whole machine."""

import contextlib
import json
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ouroboros.hw.mesh.wafer import top_name
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.runtime.execute import partial
from ouroboros.sw.runtime.job import (
    IMAGE,
    Generated,
    Job,
    JobResult,
    Progress,
)
from ouroboros.sw.runtime.waves import Waves
from ouroboros.tb.flow.build import Build, SimulationError, build, recording, run
from ouroboros.tb.flow.rtl import emit_die
from ouroboros.tb.flow.stepped import Stepped
from ouroboros.tb.flow.toolchain import ToolError, find
from ouroboros.tb.mesh.branch import branch_file
from ouroboros.tb.mesh.tap import read_taps, tapped
from ouroboros.tb.waves.keep import keep
from ouroboros.tb.waves.record import blocks, recorded, recorder

__all__ = ["build_die", "emit_die", "icarus", "run_job", "verilator"]

TILE = Stepped(
    module="tile",
    wakes=("rst", *(f"inputs__{n}__valid" for n in range(4)),
           *(f"outputs__{n}__credit" for n in range(4))),
    pulses=(*(f"outputs__{n}__valid" for n in range(4)),
            *(f"inputs__{n}__credit" for n in range(4))),
    gates=("gate_awake__DOT__open", "gate_moving__DOT__open"))
"""A tile sleeps while the clocks of its core and its router stand still."""
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
        Waves of some cores, as the job has them.
    built : frozenset of Position
        The cores that there are; None: all.
    preload : bool
        Cores can write images of their own.
    """
    # Waveforms show all of a machine.
    stepped = sim == "verilator" and not recording(waves)
    dead = () if built is None else [at for at in machine.mesh.coordinates if at not in built]
    sources = emit_die(machine, twin=twin, dead=dead, preload=preload, stepped=stepped)
    if tap:
        sources = tapped(sources, machine)
    if record is not None:
        sources = with_recorder(sources, machine, record, sim)
    return build(top_name(machine), sources, sim=sim, stepped=TILE if stepped else None,
                 waves=waves, dump="" if record is None else record.path.suffix[1:])


def with_recorder(sources: Mapping[str, str], machine: Machine, waves: Waves,
                  sim: str) -> dict[str, str]:
    """The modules of a machine that records what ``waves`` says."""
    return recorded(sources, machine, recorder(sim, machine, waves.cores,
                                               f"waves{waves.path.suffix}"))


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
    find(sim, fst=job.waves is not None and job.waves.path.suffix == ".fst")
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
                 for name in ("job", "result", "progress", "tokens", "recorded")}
        files["job"].write_bytes(pickle.dumps(job))
        files["progress"].touch()
        files["tokens"].touch()
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(files["progress"], progress, ended))
        watcher.start()
        try:
            ran = run(built, test_module="ouroboros.tb.mesh.bench_job", env={
                "OUROBOROS_STALL": os.environ.get("OUROBOROS_STALL", "0"),
                **({} if job.waves is None else {
                    "OUROBOROS_WAVES": blocks(job.program.machine, job.waves.cores)}),
                **{f"OUROBOROS_{name.upper()}": str(path) for name, path in files.items()}})
        except SimulationError as error:
            if job.waves is not None and error.directory is not None:
                # Of a machine that hangs the waves are all that there is.
                kept = keep(job, error.directory, files["recorded"])
                raise SimulationError(f"{error}\nwaves: {kept[0]}") from error
            raise
        except KeyboardInterrupt:
            cut = partial(job, _tokens(files["tokens"]))
            cut.branches = _branches(job, files["result"])
            return cut
        finally:
            ended.set()
            watcher.join()
        result: JobResult = pickle.loads(files["result"].read_bytes())
        result.branches = _branches(job, files["result"])
        if job.waves is not None:
            result.waves, result.recorded = keep(job, ran.directory, files["recorded"])
    if job.tap:
        result.sent = read_taps(ran.directory, job.program.machine)
    return result


def _branches(job: Job, result: Path) -> list[JobResult]:
    """Those that are over; the last may be cut off."""
    found: list[JobResult] = []
    with contextlib.suppress(FileNotFoundError, EOFError, pickle.UnpicklingError):
        found.extend(pickle.loads(branch_file(result, number).read_bytes())
                     for number in range(len(job.branches)))
    return found


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
