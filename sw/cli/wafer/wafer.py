"""``ouroboros wafer``: what a full wafer would do with a model, and why."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from ouroboros.sw.api.wafer.traffic import TrafficOptions, serve_wafer
from ouroboros.sw.api.wafer.wafer import estimate_wafer
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.cli.wafer.traffic import show_served
from ouroboros.sw.wafer.estimate import Wafer

__all__ = ["wafer"]

SWEEP_GHZ = (0.3, 0.5, 1.0, 1.5)
HEADS = {"flits in": "flits\nin", "flits out": "flits\nout", "multicast": "multi-\ncast",
         "dispatch": "dis-\npatch", "busiest link": "busy\nlink"}
"""Titles of units that are too long for a column of cycles."""


def _stages(model: Wafer) -> Table:
    shown = table("stage", "cores", "stage\ntime", "serial", "KV\nwrites", "binds",
                  right=range(1, 5), title=f"Cycles per token and core at context {model.context}")
    for time in model.times:
        shown.add_row(time.name, str(time.cores or ""), str(time.cycles), str(time.serial),
                      str(time.kv_writes), time.binds)
    return shown


def _units(model: Wafer) -> Table:
    units = list(dict.fromkeys(name for time in model.times for name in time.units))
    shown = table("stage", *(HEADS.get(unit, unit) for unit in units),
                  right=range(1, 1 + len(units)), title="The same by unit")
    for time in model.times:
        shown.add_row(time.name, *(str(time.units.get(unit, "")) for unit in units))
    return shown


def _totals(found: dict[str, Any]) -> Table:
    cores = found["cores"]
    shown = table("quantity", "value", "", right=(1,), widest={2: 36})
    for name, value, why in (
            ("decode", f"{found['decode_tokens_per_s']:,.0f} tokens/s",
             f"binds: {found['decode_binds']}"),
            ("decode of a sequence", f"{found['decode_tokens_per_s_per_sequence']:,.0f} tokens/s",
             ""),
            ("prefill", f"{found['prefill_tokens_per_s']:,.0f} tokens/s",
             f"{found['prefill_s'] * 1e3:,.2f} ms for a whole context"),
            ("interval", f"{found['interval_cycles']:,} cycles", found["interval_binds"]),
            ("latency of a token", f"{found['latency_us']:,.1f} us",
             f"{found['depth_substages']} sub-stages, {found['tokens_to_fill']} tokens fill them"),
            ("sequences", f"{found['sequences']:,}", "at the context"),
            ("tokens of KV", f"{found['kv_tokens']:,}",
             f"{found['kv_tokens_by_bytes']:,} by bytes of SRAM"),
            ("", f"{found['kv_tokens_of_cores_left']:,}", "if no core were left over"),
            ("cores for weights", f"{cores['weights']:,}", f"of {cores['all']:,}"),
            ("cores for KV", f"{cores['kv']:,}",
             (f"{cores['kv_members_per_head']} a group of {cores['kv_heads_per_core']} heads; "
             f"{cores['unused']:,} left over")),
            ("other cores", f"{cores['dead'] + cores['edge'] + cores['spare']:,}",
             f"{cores['dead']} dead, {cores['edge']} at the edge, {cores['spare']} spare"),
            ("cores of the embedding", f"{cores['embedding']:,}", "")):
        shown.add_row(name, value, why)
    return shown


def _members(best: Wafer, tried: Sequence[Wafer]) -> Table:
    shown = table("mem-\nbers", "interval", "binds", "prefill,\ntokens/s", "decode,\ntokens/s",
                  "tokens\nof KV", "", title="Members of a KV head", right=(0, 1, 3, 4, 5))
    asked = best.options.members is not None
    for other in tried:
        here = other.members == best.members
        shown.add_row(str(other.members), f"{other.interval_cycles:,}",
                      f"{other.slowest.binds} of {other.slowest.name}",
                      f"{other.prefill_tokens_per_s:,.0f}", f"{other.decode_tokens_per_s:,.0f}",
                      f"{other.kv_tokens:,}", "" if not here else
                      "asked" if asked else "best")
    return shown


def _sweep(found: dict[str, Any]) -> Table:
    shown = table("clock, GHz", "prefill, tokens/s", "decode, tokens/s", "latency, us",
                  title="Sweep of the clock", right=range(4))
    clock = next(a["value"] for a in found["assumptions"] if a["name"] == "clock_ghz")
    for ghz in SWEEP_GHZ:
        shown.add_row(f"{ghz}", f"{found['prefill_tokens_per_s'] * ghz / clock:,.0f}",
                      f"{found['decode_tokens_per_s'] * ghz / clock:,.0f}",
                      f"{found['latency_us'] * clock / ghz:,.1f}")
    return shown


def _assumptions(found: dict[str, Any]) -> Table:
    shown = table("name", "value", "meaning; source", title="Assumptions", right=(1,),
                  widest={2: 40})
    for item in found["assumptions"]:
        value = "" if item["unit"] == "yes" else f"{item['value']:g} {item['unit']}"
        shown.add_row(item["name"], value, "\n".join(filter(None, (item["note"], item["source"]))))
    return shown


@command(TrafficOptions)
def wafer(options: TrafficOptions, output: Output) -> dict[str, Any]:
    """Estimate a language model on the full wafer: tokens/s, latency, what binds.

    Without requests: an analytic model of one token at a context, bounds from below on time, from
    the cycle formulas of the hardware and the assumptions that are printed with the result. With
    --trace or --lengths: every token of every request through every stage of every block, under the
    serving policy of the runtime.
    """
    if options.has_traffic:
        return show_served(serve_wafer(options), output)
    options.check_no_traffic()
    estimated = estimate_wafer(options)
    found = estimated.as_dict()
    output.say(f"{estimated.best.shape.name} on machine {estimated.best.machine.name!r}: "
               f"{found['decode_tokens_per_s']:,.0f} tokens/s decode, "
               f"{found['prefill_tokens_per_s']:,.0f} prefill")
    output.show(_totals(found), _members(estimated.best, estimated.tried))
    output.detail(_stages(estimated.best), _units(estimated.best), _sweep(found),
                  _assumptions(found))
    if not output.verbose:
        output.say("stage times, sweep of the clock and assumptions: -v")
    return found
