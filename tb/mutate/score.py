"""Builds a block with its mutants, runs its bench on each, and says which survive."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.tb.flow.build import Build, SimulationError, build, run
from ouroboros.tb.mutate.blocks import MutableBlock
from ouroboros.tb.mutate.netlist import Mutant, listed, mutated, proved_equal

__all__ = ["MutationError", "Score", "score"]

BENCH = "ouroboros.tb.mutate.bench_mutants"
AT_ONCE = 24
"""Mutants that one simulation takes; the block itself is run before and after them."""
Progress = Callable[[str, int, int], None]


class MutationError(OuroborosError):
    """A bench fails on the block as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What became of the mutants of a block."""

    block: str
    """Name."""
    seeds: int
    """Seeds that a survivor has passed."""
    killed: dict[Mutant, str]
    """What failed first, by mutant."""
    equal: tuple[Mutant, ...]
    """Survivors of which yosys proves that they are the block."""
    alive: tuple[Mutant, ...]
    """The other survivors."""

    @property
    def share(self) -> float:
        """Killed of all that are not proved equal; 1.0 if there are none."""
        counted = len(self.killed) + len(self.alive)
        return len(self.killed) / counted if counted else 1.0


def score(block: MutableBlock, folder: Path, *, count: int, seed: int, sim: str = "verilator",
          progress: Progress = lambda *step: None) -> Score:
    """Run the bench of a block on mutants of it; on survivors with more and more seeds.

    Parameters
    ----------
    folder : Path
        Where files go.
    count : int
        Mutants at most.
    seed : int
        Of the choice of mutants.
    sim : str
        Simulator.

    Raises
    ------
    MutationError
        If the bench fails on the block as it is, before or after its mutants.
    SimulationError
        If the mutants cannot be compiled.
    """
    bench = block.bench
    sources = bench.sources()
    mutants = listed(bench.top, sources, block.chosen(sources), folder, count, seed)
    built = build(bench.top, mutated(bench.top, mutants, folder), sim=sim, short_runs=True)
    killed: dict[Mutant, str] = {}
    for n, env in enumerate(bench.runs):
        left = [one for one in mutants if one not in killed]
        for first in range(0, len(left), AT_ONCE):
            progress(f"Run {n + 1} of {block.name}", first, len(left))
            killed |= _verdicts(built, block, env, n + 1, left[first:first + AT_ONCE], folder)
        progress(f"Run {n + 1} of {block.name}", len(left), len(left))
    left = [one for one in mutants if one not in killed]
    equal = []
    for n, one in enumerate(left):
        progress(f"Proofs of {block.name}", n, len(left))
        if proved_equal(one, folder):
            equal.append(one)
    return Score(block=block.name, seeds=len(bench.runs), killed=killed, equal=tuple(equal),
                 alive=tuple(one for one in left if one not in equal))


def _verdicts(built: Build, block: MutableBlock, env: dict[str, str], seed: int,
              mutants: Sequence[Mutant], folder: Path) -> dict[Mutant, str]:
    """The killed ones among some mutants; a simulator that dies kills the one that it was on."""
    file = folder / "verdicts.jsonl"
    by_number = {one.number: one for one in mutants}
    found: dict[int, str | None] = {}
    while missing := [number for number in by_number if number not in found]:
        file.unlink(missing_ok=True)
        died = ""
        try:
            # Importing a bench shows its own tests to cocotb, which are not asked for.
            run(built, test_module=BENCH, seed=seed, test_filter=r"run_\d+_mutant", env=env | {
                "BENCH": block.bench.module, "MUTANTS": ",".join(map(str, [0, *missing, 0])),
                "SEED_OF_MUTANTS": str(seed), "VERDICTS": str(file)})
        except SimulationError as error:
            died = str(error)
        said = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        verdicts = {one["mutant"]: one["killed"] for one in said if "killed" in one}
        # The block itself comes before and after the mutants. If it fails after them, one of them
        # has left something that no reset undoes, and those after it are judged unfairly.
        itself = [one["killed"] for one in said if not one["mutant"] and "killed" in one]
        if itself[:1] == [None] and itself[1:] != [None] and not died and len(missing) > 1:
            half = len(missing) // 2
            for part in (missing[:half], missing[half:]):
                killed = _verdicts(built, block, env, seed, [by_number[n] for n in part], folder)
                found |= {n: killed.get(by_number[n]) for n in part}
            continue
        if itself[:1] != [None]:
            raise MutationError(f"bench {block.bench.module} must pass on block {block.name} as it "
                                f"is, with seed {seed} and {env}: {itself[0] if itself else died}")
        for one in said:
            if number := one["mutant"]:
                found[number] = verdicts.get(number, "the simulation does not end")
    return {by_number[number]: verdict for number, verdict in found.items() if verdict is not None}
