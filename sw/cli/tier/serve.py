"""``ouroboros tier serve``: K and V on the wafer, in a pool at its edge, and split."""

from typing import Any

from ouroboros.sw.api.tier.pools import PoolOptions, PoolServed, serve_pools
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import DIFFERS
from ouroboros.sw.cli.progress import step_bars
from ouroboros.sw.cli.tables import table

__all__ = ["serve"]


@command(PoolOptions)
def serve(options: PoolOptions, output: Output) -> dict[str, Any]:
    """Run prompts with K and V on the wafer, in pools at edge ports, and split.

    The runs must agree in every token and every logit, and with the golden decoder: else the exit
    code is 3. A pool takes, computes and sends what a core of a KV group would.
    """
    with step_bars() as progress:
        found = serve_pools(options, progress)
    _show(found, output)
    output.exit_code = 0 if found.same and found.exact else DIFFERS
    return found.as_dict()


def _show(found: PoolServed, output: Output) -> None:
    rows = found.as_dict()["runs"]
    shown = table("K and V", "members", "most on wafer", "most in pools", "cycles", "vectors",
                  "", right=range(1, 6))
    for place, run in rows.items():
        cycles = "" if run["cycles"] is None else f"{run['cycles']:,}"
        verdict = "equal the golden decoder's" if run["bit_exact"] else "DIFFER"
        shown.add_row(place, f"{run['members']}", f"{run['most_on_wafer']:,}",
                      f"{run['most_in_pools']:,}", cycles, f"{run['vectors_checked']:,}", verdict)
    output.show(shown)
    for place, run in rows.items():
        if (loss := run["loss"]) is not None:
            output.say(f"{place}: pools lost at {loss['time']:,}, {loss['recomputed']:,} tokens "
                       f"computed again" if loss["refused"] is None else
                       f"{place}: pools lost at {loss['time']:,}; REFUSED: {loss['refused']}")
        for n, (ended, times) in enumerate(zip(run["finished"], run["preemptions"],
                                               strict=True)):
            if times or ended == "kv_full":
                output.say(f"{place}: request {n + 1} gave way {times} times, ended: {ended}")
    if len(rows) > 1:
        output.say("Tokens and logits are the same, bit for bit, wherever K and V are."
                   if found.same else "Tokens or logits DIFFER between the places.")
