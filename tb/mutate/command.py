"""``ouroboros mutate``: how many changes of a block its bench notices."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.cli.watch import Watch
from ouroboros.sw.lib.options import option
from ouroboros.tb.flow.build import SIMULATORS
from ouroboros.tb.mutate.blocks import BLOCKS
from ouroboros.tb.mutate.explained import explain, load_explained
from ouroboros.tb.mutate.score import Score, score

__all__ = ["MutateOptions", "mutate"]

DIFFERS = 3
"""Exit code if a survivor is not explained."""


@dataclass(frozen=True, kw_only=True)
class MutateOptions:
    """Blocks, and how many mutants of each."""

    blocks: tuple[str, ...] = option((), choices=lambda: tuple(BLOCKS), placed=True,
                                     metavar="[BLOCK]...")
    """Blocks; all without any."""
    limit: int = option(100, metavar="N", least=1)
    """Most mutants of a block."""
    seed: int = option(1, metavar="N", least=0)
    """Of the choice of mutants."""
    on: str = option("verilator", choices=lambda: SIMULATORS)
    """Simulator: Icarus compiles at once and takes twice the time for each run."""


@command(MutateOptions)
def mutate(options: MutateOptions, output: Output) -> dict[str, Any]:
    """Change a block's netlist bit by bit, and run its bench on every change.

    yosys chooses the changes, Verilator compiles all of a block at once. What no run notices is
    proved equal to the block, or explained in tb/mutate/survivors.toml, or listed as a hole of the
    bench, with exit code 3.
    """
    found: dict[str, Any] = {"limit": options.limit, "seed": options.seed, "blocks": {}}
    reasons, scores = load_explained(), []
    with Watch() as watch:
        for name in options.blocks or BLOCKS:
            with tempfile.TemporaryDirectory(prefix="ouroboros-mutate-") as folder:
                one = score(BLOCKS[name], Path(folder), count=options.limit, seed=options.seed,
                            sim=options.on, progress=watch.progress)
            scores.append(one)
            found["blocks"][name] = _as_dict(one, reasons)
            output.keep(found)
    output.show(_scores(found))
    output.detail(_killed(scores))
    holes = [mutant for one in found["blocks"].values() for mutant in one["alive"]
             if not mutant["reason"]]
    for mutant in holes:
        output.say(f"Not noticed: {mutant['mutant']}")
    output.exit_code = DIFFERS if holes else 0
    return found


def _as_dict(one: Score, reasons: dict[tuple[str, str], str]) -> dict[str, Any]:
    alive = [{"mutant": str(mutant), "options": mutant.options, "line": explain(mutant, reasons)[0],
              "reason": explain(mutant, reasons)[1]} for mutant in one.alive]
    counted = len(one.killed) + sum(not mutant["reason"] for mutant in alive)
    return {"mutants": len(one.killed) + len(one.equal) + len(one.alive),
            "killed": len(one.killed), "equal": [str(mutant) for mutant in one.equal],
            "alive": alive, "score": one.share,
            "score_explained": len(one.killed) / counted if counted else 1.0}


def _scores(found: dict[str, Any]) -> Table:
    shown = table("block", "mutants", "killed", "proved\nequal", "explained", "not\nnoticed",
                  "score", "without\nexplained", right=range(1, 8),
                  title=f"Mutants of blocks, seed {found['seed']}")
    for name, one in found["blocks"].items():
        explained = sum(bool(mutant["reason"]) for mutant in one["alive"])
        shown.add_row(name, str(one["mutants"]), str(one["killed"]), str(len(one["equal"])),
                      str(explained), str(len(one["alive"]) - explained), f"{one['score']:.1%}",
                      f"{one['score_explained']:.1%}")
    return shown


def _killed(scores: list[Score]) -> Table:
    shown = table("mutant", "what failed first", widest={0: 60, 1: 60})
    for one in scores:
        for mutant, verdict in one.killed.items():
            shown.add_row(str(mutant), verdict)
    return shown
