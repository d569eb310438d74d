"""``ouroboros wafer``: what a full wafer would do with a model, and why."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from ouroboros.sw.api.wafer import EstimateOptions, estimate_wafer
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.wafer.estimate import Wafer

__all__ = ["wafer"]

SWEEP_GHZ = (0.3, 0.5, 1.0, 1.5)


def _stage_table(model: Wafer) -> Table:
    units = list(dict.fromkeys(name for time in model.times for name in time.units))
    table = Table(title=f"Cycles per token and core, {model.shape.name} at context "
                        f"{model.context} on machine {model.machine.name!r}")
    for title in ("stage", "cores", *units, "KV writes", "serial", "stage time", "binds"):
        table.add_column(title, no_wrap=True,
                         justify="left" if title in ("stage", "binds") else "right")
    for time in model.times:
        table.add_row(time.name, str(time.cores or ""),
                      *(str(time.units.get(unit, "")) for unit in units), str(time.kv_writes),
                      str(time.serial), str(time.cycles), time.binds)
    return table


def _totals(found: dict[str, Any]) -> Table:
    cores = found["cores"]
    table = Table("quantity", "value", "", title="Totals")
    table.add_row("cores for weights", f"{cores['weights']:,}",
                  f"of {cores['all']:,}; {cores['dead']} dead by defects, {cores['edge']} at the "
                  f"edge, {cores['spare']} spare, {cores['embedding']} for the embedding")
    table.add_row("cores for KV", f"{cores['kv']:,}",
                  f"{cores['kv_members_per_head']} for each group of {cores['kv_heads_per_core']} "
                  f"heads; {cores['unused']:,} left over")
    table.add_row("tokens of KV", f"{found['kv_tokens']:,}",
                  f"{found['kv_tokens_of_cores_left']:,} if no core were left over, "
                  f"{found['kv_tokens_by_bytes']:,} by bytes of SRAM")
    table.add_row("sequences at the context", f"{found['sequences']:,}", "")
    table.add_row("interval", f"{found['interval_cycles']:,} cycles", found["interval_binds"])
    table.add_row("latency of a token", f"{found['latency_us']:,.1f} us",
                  f"{found['latency_cycles']:,} cycles, {found['depth_substages']} sub-stages, "
                  f"{found['tokens_to_fill']} tokens fill them")
    table.add_row("prefill", f"{found['prefill_tokens_per_s']:,.0f} tokens/s",
                  f"{found['prefill_s'] * 1e3:,.2f} ms for a prompt as long as the context")
    table.add_row("decode", f"{found['decode_tokens_per_s']:,.0f} tokens/s",
                  f"binds: {found['decode_binds']}; "
                  f"{found['decode_tokens_per_s_per_sequence']:,.0f} tokens/s per sequence")
    return table


def _members(best: Wafer, tried: Sequence[Wafer]) -> Table:
    table = Table(title="Members of a KV head")
    for title in ("members", "interval", "binds", "prefill, tokens/s", "decode, tokens/s",
                  "KV tokens", ""):
        table.add_column(title, justify="left" if title in ("binds", "") else "right")
    asked = best.options.members is not None
    for other in tried:
        here = other.members == best.members
        table.add_row(str(other.members), f"{other.interval_cycles:,}",
                      f"{other.slowest.binds} of {other.slowest.name}",
                      f"{other.prefill_tokens_per_s:,.0f}", f"{other.decode_tokens_per_s:,.0f}",
                      f"{other.kv_tokens:,}", "" if not here else
                      "as asked" if asked else f"best {best.options.objective}")
    return table


def _sweep(found: dict[str, Any]) -> Table:
    table = Table("clock, GHz", "prefill, tokens/s", "decode, tokens/s", "latency, us",
                  title="Sweep of the clock")
    clock = next(a["value"] for a in found["assumptions"] if a["name"] == "clock_ghz")
    for ghz in SWEEP_GHZ:
        table.add_row(f"{ghz}", f"{found['prefill_tokens_per_s'] * ghz / clock:,.0f}",
                      f"{found['decode_tokens_per_s'] * ghz / clock:,.0f}",
                      f"{found['latency_us'] * clock / ghz:,.1f}")
    return table


def _assumption_table(found: dict[str, Any]) -> Table:
    table = Table(title="Assumptions")
    for title in ("name", "value", "meaning", "source"):
        table.add_column(title, overflow="fold")
    for item in found["assumptions"]:
        value = "" if item["unit"] == "yes" else f"{item['value']:g} {item['unit']}"
        table.add_row(item["name"], value, item["note"], item["source"])
    return table


@command(EstimateOptions)
def wafer(options: EstimateOptions, output: Output) -> dict[str, Any]:
    """Estimate a language model on the full wafer: tokens/s, latency, what binds.

    A first, analytic model: bounds from below on time, from the cycle formulas of the hardware and
    the assumptions that are printed with the result. Energy is not in it.
    """
    estimated = estimate_wafer(options)
    found = estimated.as_dict()
    output.say(f"{estimated.best.shape.name} on machine {estimated.best.machine.name!r}: "
               f"{found['decode_tokens_per_s']:,.0f} tokens/s decode, "
               f"{found['prefill_tokens_per_s']:,.0f} tokens/s prefill")
    output.show(_totals(found), _members(estimated.best, estimated.tried))
    output.detail(_stage_table(estimated.best), _sweep(found), _assumption_table(found))
    if not output.verbose:
        output.say("stage times, sweep of the clock and assumptions: -v")
    return found
