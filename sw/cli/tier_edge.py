"""``ouroboros tier edge``: pools of computing memory at the wafer's edge."""

from typing import Any

from ouroboros.sw.api.tier_edge import EdgeOptions, estimate_edge
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table

__all__ = ["edge"]


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
