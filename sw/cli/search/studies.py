"""``ouroboros search compare``, ``reproduce`` and ``make``: studies over instances."""

from typing import Any

import click

from ouroboros.sw.api.search.search import (
    CompareOptions,
    MakeFileOptions,
    ReproduceOptions,
    compare_searches,
    make_file,
    reproduce_paper,
)
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import INTERRUPTED
from ouroboros.sw.cli.tables import cell, table
from ouroboros.sw.experiments.compass import CANNOT, PAPER, STEPS

__all__ = ["compare", "make", "reproduce"]


def _told(what: str) -> None:
    click.echo(what, err=True)


@command(CompareOptions)
def compare(options: CompareOptions, output: Output) -> dict[str, Any]:
    """Hold the search against named mappings, families and searches as others do them.

    Of the search the worst of several seeds counts. All EDPs have links and DRAM shared. Exit code
    1 if a baseline is better than the search anywhere.
    """
    found = compare_searches(options, _told)
    for row in found.rows:
        shown = table("", "EDP", "search,\nworst seed", right=(1, 2),
                      title=row.problem.instance.name)
        for one in row.baselines:
            shown.add_row(one.name, f"{one.figures.edp:.4e}", f"{row.against(one.name):+.1%}")
        shown.add_row("search, worst seed", f"{row.worst:.4e}", "")
        shown.add_row("search, best seed", f"{row.best:.4e}", "")
        limits = row.found[0].bound
        shown.add_row("bound", f"{limits.edp:.4e}", f"{limits.gap(row.worst):+.1%}")
        output.show(shown)
    for name, words in (("best_named", "the best named mapping"),
                        ("ga_published", "the published search"),
                        ("ga_contended", "the same, links shared while it searches")):
        output.say(f"mean against {words}: {cell(found.mean(name), '+.1%')}")
    beaten = [f"{row.problem.instance.name} by {', '.join(row.beaten_by)}"
              for row in found.rows if row.beaten_by]
    if beaten:
        output.say(f"beaten: {'; '.join(beaten)}")
        output.exit_code = 1
    if found.interrupted:
        output.say("interrupted: these are the instances done by then")
        output.exit_code = INTERRUPTED
    return found.as_dict()


@command(ReproduceOptions)
def reproduce(options: ReproduceOptions, output: Output) -> dict[str, Any]:
    """Measure again what can be of the paper: search against pipeline, contention, ablation."""
    found = reproduce_paper(options, _told)
    shown = table("instance", "pipeline", "published\nsearch", "", "links shared\nin it", "",
                  right=range(1, 6), title="Published search against its program's mapping, EDP")
    for row in found.rows:
        shown.add_row(row.instance, f"{row.pipeline:.3e}", f"{row.published:.3e}",
                      f"{row.published / row.pipeline - 1:+.0%}",
                      f"{row.published_contended:.3e}",
                      f"{row.published_contended / row.pipeline - 1:+.0%}")
    output.show(shown)
    names = list(found.rows[0].price)
    price = table("instance", *(name.replace("_", "\n") for name in names),
                  right=range(1, 1 + len(names)), title="EDP, links shared over links free")
    for row in found.rows:
        price.add_row(row.instance, *(f"{row.price[name]:.2f}" for name in names))
    output.show(price)
    steps = table("instance", *(step if n == 0 else f"+ {step}" for n, step in enumerate(STEPS)),
                  "against\npublished", "bound", right=range(1, 3 + len(STEPS)),
                  title="Ablation, EDP with links shared")
    for row in found.rows:
        steps.add_row(row.instance, *(f"{row.ablation[step]:.3e}" for step in STEPS),
                      f"{row.ablation[STEPS[-1]] / row.published - 1:+.0%}", f"{row.bound:.3e}")
    output.show(steps)
    output.say(f"the paper: -{PAPER:.2%}. {CANNOT}")
    return found.as_dict()


@command(MakeFileOptions)
def make(options: MakeFileOptions, output: Output) -> dict[str, Any]:
    """Make an instance: a model, chips, and requests drawn at random."""
    found = make_file(options)
    output.say(f"{found.name}: {found.layers} layers, {len(found.micro_batches)} micro-batches, "
               f"{found.genes:,} genes, {found.chips} chips")
    return {"instance": found.name, "instance_digest": found.digest, "layers": found.layers,
            "genes": found.genes}
