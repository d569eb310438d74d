"""Runs benches with many seeds under both simulators; a failure begins with what failed."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ouroboros.tb.flow.build import Build, SimulationError, build, run
from ouroboros.tb.lib.met import FILE, VARIABLE
from ouroboros.tb.regress.benches import BlockBench

__all__ = ["Row", "failure", "regress"]

PARTS = re.compile(r"(?P<what>.*?): got (?P<got>.*), expected (?P<expected>.*)", re.DOTALL)
"""How a scoreboard speaks (``tb.lib.scoreboard``)."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A bench under a simulator, with all its seeds."""

    bench: str
    """Block."""
    sim: str
    """Simulator."""
    passed: int
    """Runs in which every test passed."""
    failures: tuple[str, ...]
    """What the others say."""
    coverage: tuple[Path, ...] = ()
    """Files of Verilator's coverage, if it was asked for."""
    met: tuple[Path, ...] = ()
    """Files of the cases that came up (``tb.lib.met``)."""

    @property
    def runs(self) -> int:
        """All of them."""
        return self.passed + len(self.failures)


def regress(benches: Sequence[BlockBench], sims: Sequence[str], seeds: Sequence[int], *,
            coverage: bool = False, progress: Progress = lambda *step: None) -> tuple[Row, ...]:
    """Each bench under each simulator with each seed; stalls change with the seed.

    Parameters
    ----------
    coverage : bool
        Verilator counts what is reached.

    Raises
    ------
    SimulationError
        If a design cannot be built; a run that fails is in its row.
    """
    found = []
    for n, (bench, sim) in enumerate([(bench, sim) for bench in benches for sim in sims]):
        progress(f"{bench.name} under {sim}", n, len(benches) * len(sims))
        built = build(bench.top, bench.sources(), sim=sim,
                      coverage=coverage and sim == "verilator")
        passed, failures, files, met = 0, [], [], []
        for seed in seeds:
            env = bench.runs[seed % len(bench.runs)]
            try:
                done = run(built, test_module=bench.module, env=env | {VARIABLE: "1"}, seed=seed)
            except SimulationError as error:
                failures.append(failure(bench, built, env, seed, error))
                continue
            passed += 1
            if (file := done.directory / "coverage.dat").exists():
                files.append(file)
            if (file := done.directory / FILE).exists():
                met.append(file)
        found.append(Row(bench=bench.name, sim=sim, passed=passed, failures=tuple(failures),
                         coverage=tuple(files), met=tuple(met)))
    return tuple(found)


def failure(bench: BlockBench, built: Build, env: dict[str, str], seed: int,
            error: SimulationError) -> str:
    """Block, what failed, what came and what should have, seed, and the command that repeats it."""
    said = _first_words(str(error), built.directory)
    parts = PARTS.fullmatch(said)
    told = (f"{parts['what']}\n  got       {parts['got']}\n  expected  {parts['expected']}"
            if parts else said)
    return (f"{bench.name}: {told}\n  seed      {seed}, stall {env['STALL']}, {built.tool.name}\n"
            f"  replay    ouroboros regress {bench.name} --on {built.tool.name} --seeds 1 "
            f"--first {seed}")


def _first_words(text: str, directory: Path) -> str:
    """What the first failed test says; the head of the error if no test has said anything."""
    results = sorted((directory / "runs").glob("*/results.xml"),
                     key=lambda path: path.stat().st_mtime)
    if results:
        for case in ElementTree.parse(results[-1]).iter("testcase"):
            wrong = case.find("failure")
            wrong = case.find("error") if wrong is None else wrong
            if wrong is not None:
                said = wrong.get("error_msg") or wrong.get("message") or wrong.text or ""
                words = re.sub(r"^\w*Error: ", "", said.strip())
                return f"{case.get('name')}: {words.splitlines()[0] if words else 'failed'}"
    return text.splitlines()[0]
