"""``ouroboros tier run``, ``figures`` and ``edge``."""

from typing import Any

import click

from ouroboros.sw.api.tier.edge import EdgeOptions, estimate_edge
from ouroboros.sw.api.tier.tier import FiguresOptions, RunOptions, compare_tier, run_tier
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import cell, table
from ouroboros.sw.tier.figures.bar import Group
from ouroboros.sw.tier.figures.compare import Compared

__all__ = ["edge", "figures", "run"]

VERDICTS = {True: "holds", False: "FAILS", None: "no limit"}


@command(RunOptions)
def run(options: RunOptions, output: Output) -> dict[str, Any]:
    """Serve requests with a system: tokens/s, batch, time between tokens, joules.

    All requests are there from the beginning and are served in order, from the first to the end
    of the last.
    """
    done = run_tier(options)
    found, served = done.as_dict(), done.run
    output.say(f"{found['model']} on {found['system']}, {served.traffic.source}: "
               f"{served.tokens_per_s:,.1f} generated tokens/s")
    shown = table("quantity", "value", "", right=(1,))
    for name, value, why in (
            ("sequences alive", f"{served.batch:,.1f}", f"of each of {served.system.replicas}"),
            ("context", f"{served.context:,.0f} tokens", "mean of all tokens"),
            ("step", f"{served.step_s * 1e3:,.1f} ms",
             f"longest {found['longest_step_s'] * 1e3:,.0f} ms"),
            ("between tokens", f"{served.between_s * 1e3:,.1f} ms", "waits included"),
            ("K and V", f"{served.filled:.1%}", f"of {served.system.kv_tokens:,} tokens"),
            ("preempted", f"{found['preempted']:,}", "times, and computed again")):
        shown.add_row(name, value, why)
    output.show(shown)
    if done.energy is None:
        output.say(f"no energy: {options.technology} has no currents")
    else:
        energy = table("energy", "J a token", right=(1,))
        for name, value in done.energy.as_dict().items():
            energy.add_row(name, f"{value:.4f}")
        output.show(energy)
    return found


@command(FiguresOptions)
def figures(options: FiguresOptions, output: Output) -> dict[str, Any]:
    """Hold the model against every published figure: error, limit, fitted and held out.

    Exit code 1 if one is farther off than it may be.
    """
    found = compare_tier(options, lambda what: click.echo(what, err=True))
    for group in found.groups:
        _group(group, output)
    output.show(_predictions(found))
    if options.bars is None:
        output.say("published bars are no part of the project: --bars, see docs/tier.md")
    if found.failed:
        output.say(f"farther off than they may be: {'; '.join(found.failed)}")
        output.exit_code = 1
    return found.as_dict()


@command(EdgeOptions)
def edge(options: EdgeOptions, output: Output) -> dict[str, Any]:
    """Decode with K and V on the wafer, in pools at its edge ports, or split.

    Rates of the wafer are those of ``ouroboros wafer``; a pool is a technology's, behind a port.
    """
    done = estimate_edge(options)
    found, own = done.as_dict(), done.edge
    alone, count = done.alone
    output.say(f"{own.shape.name} at {done.context:,} tokens, {own.pools} pools of "
               f"{options.technology}: {done.both.tokens_per_s:,.0f} tokens/s")
    shown = table("K and V", "tokens/s", "sequences", "binds", right=(1, 2))
    shown.add_row("on the wafer alone", f"{alone:,.0f}", f"{count:,}",
                  "" if count else f"at most {own.wafers.most_context:,} tokens fit")
    for name, rates in (("in the pools", done.tier), ("both, whole sequences", done.both)):
        shown.add_row(name, f"{rates.tokens_per_s:,.0f}", f"{rates.sequences:,}", rates.binds)
    share, rates = done.split
    shown.add_row(f"every one split, {share:.0%} there", f"{rates.tokens_per_s:,.0f}",
                  f"{rates.sequences:,}", rates.binds)
    output.show(shown)
    ratio = own.ratio(done.context)
    if done.gain is not None and ratio is not None:
        output.say(f"gain {done.gain:.1%}, bandwidths {ratio:.1%} of the wafer's")
    output.say(f"both sides are through with a block together with "
               f"{found['balanced_share']:.0%} of K and V in the pools")
    details = table("quantity", "value", right=(1,))
    for name, value in (
            ("chips of a head", f"{found['chips_of_a_head']}"),
            ("time over that of the banks alone", f"{found['stall']:.2f}"),
            ("a pool reads", f"{found['pool_bytes_per_s'] / 1e12:.2f} TB/s"),
            ("K and V of a token", f"{found['kv_token_bytes']:,} B"),
            ("a token on the link, both ways", f"{found['link_bytes_per_token'] / 1e6:.2f} MB"),
            ("link of a pool, each way",
             f"{found['link_bytes_per_s_of_a_pool'] / 1e9:.2f} GB/s")):
        details.add_row(name, value)
    output.detail(details)
    return found


def _group(group: Group, output: Output) -> None:
    limits = [f"each within {group.most:.0%}"] if group.limited == "each" else []
    limits += [] if group.mean is None else [f"mean within {group.mean:.0%}"]
    title = f"{group.title}: {VERDICTS[group.holds]}"
    shown = table("figure", "published", "model", "error", "", right=(1, 2, 3), title=title)
    for bar in group.bars:
        shown.add_row(bar.name, cell(bar.published, ",.4g"), f"{bar.ours:,.4g}",
                      cell(bar.error, "+.1%"), "" if bar.status == "derived" else bar.status)
    output.show(shown)
    if group.errors:
        output.say(f"not fitted: mean {group.mean_error:.1%}, largest {max(group.errors):.1%}"
                   + (f" ({', '.join(limits)})" if limits else ""))
    for words in group.words:
        output.say(f"- {words}")
    output.say("")


def _predictions(found: Compared) -> Any:
    shown = table("model", "run", "", "attention,\nmean", "largest", "dense,\nmean", "largest",
                  right=range(3, 7), title="What the scheduler predicts: errors")
    for one in found.predictions:
        shown.add_row(one.model, one.run, "held out" if one.held_out else "fitted",
                      *(f"{value:.2%}" for value in (*one.pim, *one.dense)))
    return shown
