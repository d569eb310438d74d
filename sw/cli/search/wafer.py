"""``ouroboros search wafer``: heterogeneous dies for a model and its traffic."""

from typing import Any

from rich.table import Table

from ouroboros.sw.api.search.wafer import WaferSearched, WaferSearchOptions, search_wafer
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import INTERRUPTED
from ouroboros.sw.cli.search.search import search_progress
from ouroboros.sw.cli.tables import table
from ouroboros.sw.search.wafer.places import KV, WEIGHTS, snake

__all__ = ["wafer"]

LETTERS = {WEIGHTS: "W", KV: "K"}


@command(WaferSearchOptions)
def wafer(options: WaferSearchOptions, output: Output) -> dict[str, Any]:
    """Search kinds and places of dies for a model's decode, at the silicon of the wafer.

    Starts from the homogeneous wafer, so it is never slower by its own estimate. Prints what each
    part is worth, what it rests on, and the first requests of the trace served by both. Ctrl-C ends
    the search and keeps the best so far, exit code 130.
    """
    with search_progress() as progress:
        found = search_wafer(options, progress)
    _show(found, output)
    if found.found.interrupted:
        output.exit_code = INTERRUPTED
    return found.as_dict()


def _show(found: WaferSearched, output: Output) -> None:
    base, best, bound = found.found.homogeneous, found.found.best, found.found.bound
    output.say(f"{found.model.shape.name} on {found.model.dies} dies, context "
               f"{found.model.context:,}: decode {best.decode:,.0f} tokens/s, "
               f"{found.factor:.2f} times the homogeneous wafer's; bound "
               f"{bound / base.decode:.2f}")
    shown = table("", "homogeneous", "winner", right=(1, 2))
    for name, one, other in (
            ("dies with weights", base.design.weights.name, best.design.weights.name),
            ("dies with KV", base.design.kv.name, best.design.kv.name),
            ("members", base.design.members, best.design.members),
            ("KV tokens", f"{base.wafer.kv.kv_tokens:,}", f"{best.wafer.kv.kv_tokens:,}"),
            ("sequences", base.wafer.sequences, best.wafer.sequences),
            ("latency, cycles", f"{base.wafer.latency_cycles:,}",
             f"{best.wafer.latency_cycles:,}"),
            ("interval, cycles", f"{base.wafer.interval_cycles:,}",
             f"{best.wafer.interval_cycles:,}"),
            ("border, flits", base.border_flits, best.border_flits),
            ("decode, tokens/s", f"{base.decode:,.0f}", f"{best.decode:,.0f}"),
            ("trace, output tokens/s", *(f"{one.output_tokens_per_s:,.0f}"
                                         for one in found.served)),
            ("trace, J per output", *(f"{one.joules_per_output:.3f}" for one in found.served))):
        shown.add_row(name, str(one), str(other))
    steps = table("switched on", "decode,\ntokens/s", "of the step\nbefore", right=(1, 2),
                  title="Each part, one after the other")
    before = base.decode
    for factor in found.factors:
        steps.add_row(factor.name, f"{factor.decode:,.0f}", f"{factor.decode / before:.2f}")
        before = factor.decode
    rests = table("density of cells, Mb/mm2", "decode,\ntokens/s", "of homogeneous", right=(1, 2),
                  title="What it rests on: the winner's kinds, ways left out")
    for density, factor in found.sweep:
        rests.add_row(f"{density:g}", f"{factor.decode:,.0f}",
                      f"{factor.decode / base.decode:.2f}")
    output.show(shown, steps, _classes(found), rests)
    if best.kinds is not None:
        output.say("dies, west to east and north to south:")
        for line in picture(found):
            output.say(line)
    figures = table("figure", "value", "source", right=(1,), title="Silicon", widest={2: 60})
    for name, value in found.model.silicon.figures.items():
        figures.add_row(name, f"{value.mid:g} {value.unit}", value.source)
    output.show(figures)


def _classes(found: WaferSearched) -> Table:
    """Decode by the classes of the trace, and with homes of their own."""
    (before, after), members = found.mixes, found.found.best.design.members
    shown = table("classes of the trace", "homogeneous", "winner", "", right=(1, 2, 3),
                  title="Decode by lengths, tokens/s")
    shown.add_row("all in all members", f"{before.decode:,.0f}", f"{after.decode:,.0f}",
                  f"{after.decode / before.decode:.2f}")
    shown.add_row("homes of classes (no program yet)", f"{before.homes_decode:,.0f}",
                  f"{after.homes_decode:,.0f}", f"{after.homes_decode / before.homes_decode:.2f}")
    for one in after.homes:
        shown.add_row(f"  up to {one.longest:,} tokens", "", f"{one.decoded_share:.0%} decoded",
                      "all members" if one.members == members else "one member")
    return shown


def picture(found: WaferSearched) -> list[str]:
    """The dies, a line for each row: W weights, K KV, . nothing."""
    kinds = found.found.best.kinds
    assert kinds is not None, "dies are of two kinds"
    across, along = found.model.base.mesh.dies
    at = {place: LETTERS.get(int(kind), ".")
          for place, kind in zip(snake(across, along), kinds, strict=True)}
    return ["".join(at[x, y] for x in range(across)) for y in range(along)]
