"""``ouroboros experiments``: the paper's tables beside ours."""

from typing import Any

from ouroboros.sw.api.wafer.experiments import ExperimentOptions, run_experiments
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.progress import step_bars
from ouroboros.sw.cli.tables import table
from ouroboros.sw.experiments.wafer.all import ALL

__all__ = ["experiments"]


@command(ExperimentOptions)
def experiments(options: ExperimentOptions, output: Output) -> dict[str, Any]:
    """Run the paper's experiments on the wafer model: paper, ours, why different; and a figure.

    Without a name they are listed. Results of points are kept by digest, so that what was stopped
    goes on, and what has not changed is not run again. Nothing is fitted to the paper.
    """
    if not options.chosen():
        shown = table("name", "", title="Experiments")
        for name, one in ALL.items():
            shown.add_row(name, one.title)
        output.show(shown)
        return {name: {"title": one.title, "about": one.about} for name, one in ALL.items()}
    with step_bars() as bar:
        done = run_experiments(
            options, lambda name: lambda now, total: bar(name, now, total), output.say)
    for made in done:
        shown = table("", "paper", "ours", "why different", right=(1, 2),
                      widest={0: 34, 3: 42}, title=made.experiment.title)
        for row in made.finding.rows:
            shown.add_row(*row.cells())
        output.show(shown)
        output.say(made.finding.words)
        output.say(f"{options.folder / made.experiment.name}.md, .svg, .json")
    return {made.experiment.name: made.as_dict() for made in done}
