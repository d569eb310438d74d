"""The paper's experiments: names in, tables and figures out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.experiments.wafer.all import ALL
from ouroboros.sw.experiments.wafer.draw import svg
from ouroboros.sw.experiments.wafer.experiment import Experiment, Finding, run_experiment
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.lib.write import check_folder, json_text, write
from ouroboros.sw.sweep.engine import Progress
from ouroboros.sw.sweep.store import Store

__all__ = ["Done", "ExperimentOptions", "run_experiments"]

MARK = "ouroboros experiments"
"""What every file of results says in its first bytes."""
SCHEMA = "ouroboros-experiment-1"
ENDINGS = {".md": MARK, ".svg": MARK, ".json": SCHEMA}


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(Options):
    """Which experiments, and where."""

    names: tuple[str, ...] = option((), placed=True, metavar="[NAME]...")
    """Which: paper, ablation, kv-threshold, defects, die-links, lengths, two-wafers, encoders,
    traces."""
    everything: bool = option(False, flag="--all")
    """All of them."""
    traces: tuple[Path, ...] = option((), flag="--trace")
    """Requests of the experiment traces: a CSV file with the columns arrival_s, input_tokens,
    output_tokens; may be repeated. By default drawn ones."""
    on: str = option("here", metavar="here|local|dask://HOST")
    """Where points are run: in this process, on workers here, or on those of a Dask scheduler."""
    workers: int = option(2, least=1, most=1024, metavar="N")
    """Processes of --on local."""
    out: Path | None = option(None, path="folder")
    """Folder of tables, figures and results; by default build/experiments of a working copy, else
    of the cache folder. What has a result there is not run again."""

    @property
    def folder(self) -> Path:
        """Where results go."""
        return self.out or cache_folder("experiments")

    def chosen(self) -> list[Experiment]:
        """What is asked for; nothing: to be listed.

        Raises
        ------
        OuroborosError
            If there is no such experiment.
        """
        for name in self.names:
            if name not in ALL:
                raise OuroborosError(f"experiment must be one of {', '.join(ALL)}, not {name!r}")
        return [one for name, one in ALL.items() if self.everything or name in self.names]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """An experiment and what came of it."""

    experiment: Experiment
    """What was run."""
    finding: Finding
    """Rows, picture, words."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"name": self.experiment.name, "title": self.experiment.title,
                "about": self.experiment.about, **self.finding.as_dict()}


def run_experiments(options: ExperimentOptions,
                    progress: Callable[[str], Progress] = lambda name: lambda done, total: None,
                    say: Callable[[str], None] = lambda text: None) -> list[Done]:
    """Run what is asked for; write NAME.md, NAME.svg and NAME.json of each.

    Raises
    ------
    OuroborosError
        If a name is unknown, a trace is none, or a file cannot be written.
    """
    chosen, folder, done = options.chosen(), options.folder, list[Done]()
    check_folder(folder, {f"{one.name}{ending}": mark for one in chosen
                          for ending, mark in ENDINGS.items()}, {})
    store = Store(folder / "points")
    for one in chosen:
        finding = run_experiment(one, store, traces=options.traces, on=options.on,
                                 workers=options.workers, progress=progress(one.name), say=say)
        done.append(Done(experiment=one, finding=finding))
        write(folder / f"{one.name}.md", _page(done[-1]))
        write(folder / f"{one.name}.svg", svg(finding.picture))
        write(folder / f"{one.name}.json", json_text(done[-1].as_dict(), SCHEMA))
    return done


def _page(done: Done) -> str:
    """Table as Markdown."""
    lines = [f"<!-- made by: {MARK} {done.experiment.name} -->", f"# {done.experiment.title}", ""]
    if done.experiment.about:
        lines += [done.experiment.about, ""]
    lines += ["| what | paper | ours | why different |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row.cells()) + " |"
              for row in done.finding.rows]
    return "\n".join([*lines, "", done.finding.words, "",
                      f"![{done.finding.picture.title}]({done.experiment.name}.svg)", ""])
