"""Builds a design in a simulator and runs cocotb tests on it.

``build`` compiles each distinct design once, in ``<simulator>/<top>-<hash>/`` of the cache folder;
``run`` runs a cocotb module on the result. What differs between the simulators is in ``runners``.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools.check_results import get_results

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.tb.flow.runners import (
    COMPILE,
    COMPILE_LONG,
    COMPILE_QUICK,
    COVERAGE,
    VERILATE,
    VERILATE_LONG,
    VERILATE_SHARED,
    IcarusRunner,
    VerilatorRunner,
    control_file,
    trace_options,
)
from ouroboros.tb.flow.stepped import Stepped, driver, ports_of, stand_in
from ouroboros.tb.flow.toolchain import SIMULATORS, Tool, environment, find
from ouroboros.tb.lib.link import PERIOD_NS

__all__ = ["SIMULATORS", "Build", "Results", "SimulationError", "build", "recording", "run",
           "simulate"]

RECORDER = Path(__file__).parents[1] / "waves" / "recorder.h"
PERIOD_PS = 1000 * PERIOD_NS
TAIL_LINES = 60
SEED_LIMIT = 1 << 32


class SimulationError(OuroborosError):
    """A build failed, or a simulation ran and did not pass.

    Parameters
    ----------
    message : str
        What happened.
    directory : Path, optional
        Folder of the run, if it began.
    """

    def __init__(self, message: str, directory: Path | None = None):
        super().__init__(message)
        self.directory = directory


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """A design compiled for one simulator."""

    tool: Tool
    """Simulator it was compiled by."""

    top: str
    """Name of the top module."""

    directory: Path
    """Folder of sources, program and logs."""

    waves: bool
    """Whether it can record waveforms."""

    dump: str = ""
    """``fst`` or ``vcd`` where parts of it are recorded when a bench says so; else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Outcome of one run in which every test passed."""

    tests: int
    """Number of cocotb tests."""

    directory: Path
    """Folder in which the run took place: results, waveform, files the tests wrote."""

    log: Path
    """What simulator and tests printed."""

    waves: Path | None
    """Waveform, if one was recorded."""


def build(top: str, sources: Mapping[str, str], *, sim: str, hier_blocks: Iterable[str] = (),
          shared: Iterable[str] = (), stepped: Stepped | None = None, waves: bool | None = None,
          long_runs: bool = False, short_runs: bool = False, dump: str = "",
          coverage: bool = False) -> Build:
    """Compile a design, unless the same one was compiled before.

    Parameters
    ----------
    top : str
        Name of the top module.
    sources : Mapping[str, str]
        SystemVerilog text by module name, as ``Library.sources()`` gives it.
    sim : str
        ``icarus`` or ``verilator``.
    hier_blocks : Iterable[str]
        Modules which Verilator compiles once for all their instances. Icarus ignores them, and so
        does a build with waveforms, which shall show what is inside them.
    shared : Iterable[str]
        Modules of which Verilator compiles one code for all their instances, as part of the whole
        (``docs/simulation.md``). Icarus ignores them.
    stepped : Stepped
        A module that Verilator compiles once, and that sleeps between its cycles; as
        ``hier_blocks``, without waveforms only, and not under Icarus.
    waves : bool
        Compile in the recording of waveforms. The variable WAVES of the environment, if set, wins.
    long_runs : bool
        Verilator: spend more on compiling (``docs/simulation.md``).
    short_runs : bool
        Verilator: spend as little as can be on it.
    dump : str
        ``fst`` or ``vcd``: blocks that are stepped can be recorded (``tb.waves.record``), or the
        design, under Icarus, dumps by itself.
    coverage : bool
        Verilator: each run writes ``coverage.dat``, what was reached and what toggled.

    Raises
    ------
    ToolError
        If the simulator, or what it needs to write FST, is missing or too old.
    SimulationError
        If it refuses the design; the message ends with the end of its log.
    """
    if top not in sources:
        raise ValueError(f"top must be one of {', '.join(sources)}, not {top!r}")
    tool = find(sim, fst=dump == "fst")
    compile_ = COMPILE_LONG if long_runs else COMPILE_QUICK if short_runs else COMPILE
    runner = VerilatorRunner(tool, compile_) if sim == "verilator" else IcarusRunner(tool)
    waves = recording(waves)
    _seed()     # before the work, not after it
    blocks = tuple(sorted(hier_blocks))
    if missing := [block for block in blocks if block not in sources]:
        raise ValueError(f"hier_blocks must be modules of the design, not {missing[0]!r}")
    shared = tuple(sorted(shared))
    if missing := [block for block in shared if block not in sources]:
        raise ValueError(f"shared must be modules of the design, not {missing[0]!r}")
    if waves or sim != "verilator":
        blocks, stepped = (), None
    options = []
    if sim == "verilator":
        options += VERILATE_LONG if long_runs else VERILATE
        options += ["--hierarchical"] if blocks else []
        options += COVERAGE if coverage else []
        options += VERILATE_SHARED if shared else []
        options += trace_options(dump)
    stand = None
    if stepped is not None:
        ports = ports_of(stepped.module, sources[stepped.module])
        stand = [stand_in(stepped, ports, waves=bool(dump)), RECORDER.read_text() if dump else ""]
    key = json.dumps([top, list(sources.items()), tool.version, blocks, shared, stand, waves,
                      options, compile_ if sim == "verilator" else ()])
    directory = cache_folder(sim) / f"{top}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    directory.mkdir(parents=True, exist_ok=True)
    done = directory / "done"
    with _lock(directory / "lock"):
        if not done.exists():
            files = _write_sources(directory, top, sources, blocks, shared,
                                   verilator=sim == "verilator")
            if stepped is not None:
                files, more = _step(runner, stepped, sources, files, directory, options,
                                    waves=bool(dump))
                options += more
            _execute(f"build of {top!r} by {sim}", directory / "build.log", lambda: runner.build(
                sources=files, hdl_toplevel=top, build_dir=directory, always=True, waves=waves,
                timescale=("1ns", "1ps"), build_args=options, log_file=directory / "build.log"))
            done.touch()
    return Build(tool=tool, top=top, directory=directory, waves=waves, dump=dump)


def run(built: Build, *, test_module: str, env: Mapping[str, str] | None = None,
        seed: int | str | None = None, test_filter: str | None = None) -> Results:
    """Run the cocotb tests of ``test_module`` on a design.

    Parameters
    ----------
    test_module : str
        Import path of the bench.
    env : Mapping[str, str]
        Variables the bench reads.
    seed : int
        Seed of cocotb's random numbers; without one the environment's SEED, else 1.
    test_filter : str
        Regular expression which the names of the tests to run match; all without one.

    Raises
    ------
    SimulationError
        If a test fails, or none ran; the message ends with the end of the log.
    """
    env = dict(env or {})
    seed = _seed() if seed is None else str(seed)
    sim = built.tool.name
    key = json.dumps([test_module, sorted(env.items()), seed, test_filter])
    name = f"{test_module.rpartition('.')[2]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    directory = built.directory / "runs" / name
    directory.mkdir(parents=True, exist_ok=True)
    log, xml = directory / "run.log", directory / "results.xml"
    runner = VerilatorRunner(built.tool) if sim == "verilator" else IcarusRunner(built.tool)
    what = f"{test_module} on {built.top!r} under {sim}, seed {seed}"
    with _lock(directory / "lock"):
        xml.unlink(missing_ok=True)
        _execute(what, log, lambda: runner.test(
            hdl_toplevel=built.top, hdl_toplevel_lang="verilog", build_dir=built.directory,
            test_module=test_module,
            test_dir=directory, results_xml=str(xml), seed=seed, extra_env=env, log_file=log,
            test_filter=test_filter, waves=built.waves,
            plusargs=runner.plusargs_for(directory, built.dump)))
        _execute(what, log, lambda: get_results(xml))
        total, failed = get_results(xml)
    if failed or not total:
        raise SimulationError(f"{what}: {failed} of {total} tests failed\n{_tail(log)}",
                              directory)
    waves = directory / runner.waves_name(built.top)
    return Results(tests=total, directory=directory, log=log,
                   waves=waves if built.waves and waves.exists() else None)


def simulate(top: str, sources: Mapping[str, str], *, sim: str, test_module: str,
             env: Mapping[str, str] | None = None, seed: int | str | None = None,
             hier_blocks: Iterable[str] = (), waves: bool | None = None,
             test_filter: str | None = None) -> Results:
    """Build a design and run ``test_module`` on it."""
    built = build(top, sources, sim=sim, hier_blocks=hier_blocks, waves=waves)
    results = run(built, test_module=test_module, env=env, seed=seed, test_filter=test_filter)
    if results.waves is not None:
        print(f"waves: {results.waves}")
    return results


def _write_sources(directory: Path, top: str, sources: Mapping[str, str],
                   blocks: tuple[str, ...], shared: tuple[str, ...], *,
                   verilator: bool) -> list[Path]:
    files = []
    for name, text in sources.items():
        path = directory / f"{name}.sv"
        path.write_text(text)
        files.append(path)
    if verilator:
        control = directory / "control.vlt"
        control.write_text(control_file(top, sources, blocks, shared))
        files.insert(0, control)
    return files


def _step(runner, block: Stepped, sources: Mapping[str, str], files: list[Path], directory: Path,
          options: list[str], *, waves: bool) -> tuple[list[Path], list[str]]:
    """Compile a block; the files of the design with its stand-in, and what they are built with."""
    name, inner = block.module, directory / f"V{block.module}"
    inner.mkdir(exist_ok=True)
    own = directory / f"{name}.sv"
    log = inner / "build.log"
    ports = ports_of(name, sources[name])
    modules = [file for file in files if file.suffix == ".sv"]
    _execute(f"build of {name!r} by verilator", log, lambda: runner.compile_block(
        name, modules, inner, options, log))
    code, stand = inner / f"{name}_step.cpp", inner / f"{name}.sv"
    code.write_text(driver(block, ports, (inner / f"V{name}___024root.h").read_text(),
                           waves=PERIOD_PS if waves else 0))
    stand.write_text(stand_in(block, ports, waves=waves))
    return [stand if file == own else file for file in files], [
        str(code), "-CFLAGS", f"-I{inner}", "-CFLAGS", f"-I{RECORDER.parent}",
        "-LDFLAGS", str(inner / f"libV{name}.a")]


def _execute(what: str, log: Path, action) -> None:
    """Run a step of a cocotb runner; its ways to fail become a ``SimulationError``."""
    try:
        with _own_environment():
            action()
    except (RuntimeError, SystemExit) as error:
        raise SimulationError(f"{what} failed: {error}\n{_tail(log)}") from error


@contextmanager
def _own_environment() -> Iterator[None]:
    """The process' environment as tools may see it: the runner reads and passes on all of it."""
    before, passed = dict(os.environ), environment()
    try:
        os.environ.clear()
        os.environ.update(passed)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def recording(asked: bool | None) -> bool:
    """Whether a build records waveforms: the variable WAVES of the environment, if set, wins.

    Raises
    ------
    SimulationError
        If the variable is neither 0 nor 1.
    """
    given = os.environ.get("WAVES", "")
    if given not in ("", "0", "1"):
        raise SimulationError(f"variable WAVES must be 0 or 1, not {given!r}")
    return given == "1" if given else bool(asked)


def _seed() -> str:
    given = os.environ.get("SEED") or "1"
    if not (given.isascii() and given.isdecimal() and int(given) < SEED_LIMIT):
        raise SimulationError(f"variable SEED must be 0 to {SEED_LIMIT - 1}, not {given!r}")
    return given


def _tail(log: Path) -> str:
    if not log.exists():
        return "(no log)"
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([f"--- end of {log} ---", *lines[-TAIL_LINES:]])


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold ``path`` against the other workers of a test run."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
