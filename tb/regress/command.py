"""``ouroboros regress``: benches of blocks with many seeds under both simulators."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.cli.watch import Watch
from ouroboros.sw.lib.options import option
from ouroboros.tb.flow.toolchain import SIMULATORS
from ouroboros.tb.regress.benches import BENCHES
from ouroboros.tb.regress.cases import Met, merged
from ouroboros.tb.regress.coverage import explained, lines_of, load_reasons
from ouroboros.tb.regress.page import write_page
from ouroboros.tb.regress.run import Row, regress

__all__ = ["RegressOptions", "regress_command"]

FAILED = 3
"""Exit code if a run fails, or a line or case is not reached and has no reason."""


@dataclass(frozen=True, kw_only=True)
class RegressOptions:
    """Benches, seeds, simulators."""

    benches: tuple[str, ...] = option((), choices=lambda: tuple(BENCHES), placed=True,
                                      metavar="[BLOCK]...")
    """Blocks; all without any."""
    seeds: int = option(3, metavar="N", least=1)
    """Seeds of each bench under each simulator."""
    first: int = option(1, metavar="N", least=0)
    """The first of them."""
    sims: tuple[str, ...] = option((), flag="--on", choices=lambda: SIMULATORS)
    """A simulator; may be repeated; both by default."""
    coverage: bool = False
    """Verilator counts what of the hardware is reached; slower."""
    html: Path | None = option(None, path="file", written=True, suffixes=(".html",))
    """A page with the table, the cases met and the lines not reached."""


@command(RegressOptions, "regress")
def regress_command(options: RegressOptions, output: Output) -> dict[str, Any]:
    """Run benches of blocks with many seeds under both simulators.

    A failure begins with what failed and ends with the command that repeats it; the exit code is
    then 3. With --coverage and all blocks also if a line of hw/ that becomes Verilog is not reached
    and tb/regress/unreached.toml gives no reason.
    """
    names = options.benches or tuple(BENCHES)
    with Watch() as watch:
        rows = regress([BENCHES[name] for name in names], options.sims or SIMULATORS,
                       range(options.first, options.first + options.seeds),
                       coverage=options.coverage, progress=watch.progress)
    lines = lines_of([file for row in rows for file in row.coverage])
    missing = explained(lines, load_reasons())
    cases = merged(file for row in rows for file in row.met)
    output.show(_rows(rows), _cases(cases))
    for row in rows:
        for text in row.failures:
            output.say(text)
    found = {"rows": [{"bench": row.bench, "sim": row.sim, "runs": row.runs, "passed": row.passed,
                       "failures": list(row.failures)} for row in rows],
             "cases": {one.group: {"met": len(one.seen), "of": len(one.all),
                                   "missing": [list(case) for case in one.missing]}
                       for one in cases},
             "lines": len(lines), "reached": len(lines) - len(missing),
             "unreached": [{"file": line.file, "line": line.number, "text": line.text,
                            "reason": reason} for line, reason in missing]}
    if lines:
        output.say(f"Lines of hw/ in these blocks: {len(lines):,}, reached {found['reached']:,}; "
                   f"branches {_share(lines, 'reached', 'branches')}, edges "
                   f"{_share(lines, 'toggled', 'bits')}")
        for line, reason in missing:
            if not reason:
                output.say(f"Not reached: {line.file}:{line.number} {line.text}")
    if options.html is not None:
        write_page(options.html, rows, cases, lines, missing)
    holes = any(not reason for _, reason in missing) and not options.benches
    output.exit_code = FAILED if holes or any(row.failures for row in rows) else 0
    return found


def _share(lines, part: str, whole: str) -> str:
    total = sum(getattr(line, whole) for line in lines)
    return f"{sum(getattr(line, part) for line in lines) / total:.1%}" if total else "none"


def _rows(rows: tuple[Row, ...]) -> Table:
    shown = table("block", "simulator", "runs", "passed", "failed", right=range(2, 5),
                  title="Benches")
    for row in rows:
        shown.add_row(row.bench, row.sim, str(row.runs), str(row.passed), str(len(row.failures)))
    return shown


def _cases(cases: tuple[Met, ...]) -> Table:
    shown = table("cases", "met", "of", right=(1, 2), title="Cases that the benches have met")
    for one in cases:
        shown.add_row(one.title, str(len(one.seen)), str(len(one.all)))
    return shown
