"""What ``ouroboros wafer`` shows of requests: throughput, latencies, clocks."""

import csv
from typing import Any

from rich.table import Table

from ouroboros.sw.api.wafer.report import report_of
from ouroboros.sw.api.wafer.traffic import CSV_COLUMNS, Served
from ouroboros.sw.cli.command import Output
from ouroboros.sw.cli.tables import cell, table
from ouroboros.sw.lib.write import replaced, write
from ouroboros.sw.wafer.metrics import PERCENTILES

__all__ = ["show_served"]

LATENCIES = (("ttft_s", "time to first token"), ("tpot_s", "time per output token"),
             ("e2e_s", "whole request"))


def show_served(served: Served, output: Output) -> dict[str, Any]:
    """Tables, the file of ``--csv``, and what ``--json`` writes."""
    found = served.as_dict()
    output.say(f"{found['model']} on machine {found['machine']!r}, {found['requests']:,} requests "
               f"of {found['traffic']}: {found['output_tokens_per_s']:,.0f} output tokens/s at "
               f"{found['clock_ghz']:g} GHz")
    if served.saturation is not None:
        output.say(f"highest rate: {served.saturation.factor:.3g} times that of the requests, "
                   f"{found['requests_per_s']:,.1f} requests/s")
    output.show(_totals(found), _latencies(found), _clocks(found))
    if "pools" in found:
        output.show(_pools(found["pools"]))
    output.detail(_energy(found), _utilisation(found), _events(found), _sources(found))
    if not output.verbose:
        output.say("energy by kind, utilisation, events, sources: -v")
    if served.options.report is not None:
        write(served.options.report, report_of(served))
    if served.options.csv is not None:
        with replaced(served.options.csv) as aside, \
                aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, CSV_COLUMNS)
            writer.writeheader()
            writer.writerows(served.rows())
    return found


def _totals(found: dict[str, Any]) -> Table:
    shown = table("quantity", "value", "", right=(1,), widest={2: 44})
    for name, value, why in (
            ("output", f"{found['output_tokens_per_s']:,.0f} tokens/s",
             f"{found['tokens_per_s']:,.0f} with those of prompts"),
            ("requests", f"{found['requests_per_s']:,.1f} /s",
             f"{found['goodput_requests_per_s']:,.1f} /s hold all limits"),
            ("time", f"{found['seconds']:,.3f} s", f"{found['cycles']:,} cycles"),
            ("refused", f"{found['requests_refused']:,}",
             f"{found['tokens_refused']:,} tokens, longer than the machine has room for"),
            ("KV blocks in use", f"{found['kv_share']:.1%}", f"{found['kv_peak']:.1%} at most"),
            ("sequences", f"{found['sequences']:,.1f}", "alive on average"),
            ("preemptions", f"{found['preemptions']:,}",
             f"{found['tokens_recomputed']:,} tokens computed again"),
            ("members of a head", f"{found['members']}",
             f"{found['kv_tokens']:,} tokens of KV, programs for {found['context']:,}")):
        shown.add_row(name, value, why)
    return shown


def _pools(found: dict[str, Any]) -> Table:
    shown = table("pools", "value", "", right=(1,), widest={2: 44})
    joules = found.get("joules")
    for name, value, why in (
            ("policy", found["policy"], (f"{found['pools']} of {found['technology']}, "
                                         f"{found['banks']}")),
            ("room of a pool", f"{found['room_tokens']:,}", "tokens of K and V"),
            ("longest request", f"{found['longest']:,}",
             f"{found['longest_on_wafer']:,} on the wafer alone"),
            ("requests beyond the wafer", f"{found['beyond_wafer']:,}", "served by pools only"),
            ("steady rate", f"{found['steady_tokens_per_s']:,.0f} tokens/s",
             "generated while most sequences are alive"),
            ("banks busy", f"{found['banks_busy']:.1%}",
             f"prompts: {found['prompt_tokens_a_read']} tokens a read"),
            ("most K and V", f"{max(found['tokens_at_most'], default=0):,}",
             f"tokens in a pool; {found['tokens_on_wafer_at_most']:,} on the wafer"),
            ("parked", f"{found['parked']:,}", f"{found['tokens_moved']:,} tokens moved"),
            ("lost with a pool", f"{found['lost']:,}", "sequences, computed again or refused"),
            ("energy of pools", "" if joules is None else f"{joules:,.1f} J",
             "on top of the wafer's, and outside its limits")):
        shown.add_row(name, value, why)
    return shown


def _latencies(found: dict[str, Any]) -> Table:
    shown = table("latency, ms", "mean", *(f"{p} %" for p in PERCENTILES),
                  right=range(1, 2 + len(PERCENTILES)))
    for name, words in LATENCIES:
        have = found[name]
        if have is not None:
            shown.add_row(words, *(f"{have[key] * 1e3:,.3f}" for key in (
                "mean", *(f"p{p}" for p in PERCENTILES))))
    return shown


def _clocks(found: dict[str, Any]) -> Table:
    shown = table("clock,\nGHz", "cap,\nkW", "throttled\nto, GHz", "output,\ntokens/s",
                  "all,\ntokens/s", "kW", "J/token", "TTFT\n99 %, ms", "TPOT\n99 %, ms",
                  right=range(9), title=f"Per clock and limit of power: energies {found['corner']}")
    for one in found["by_clock"].values():
        for row in (one, *one["caps"]):
            cap = row.get("cap_w")
            throttled = cap is not None and row["clock_ghz"] < one["clock_ghz"]
            shown.add_row(
                "" if cap else f"{one['clock_ghz']:g}", f"{cap / 1e3:g}" if cap else "",
                f"{row['clock_ghz']:.3g}" if throttled else "",
                f"{row['output_tokens_per_s']:,.0f}", f"{row['tokens_per_s']:,.0f}",
                "all leaks" if row["watts"] is None else f"{row['watts'] / 1e3:,.2f}",
                cell(row["joules_per_output_token"], ".4f"),
                *(cell((row.get(name) or {}).get("p99", 0) * 1e3 or None, ",.2f")
                  for name in ("ttft_s", "tpot_s")))
    return shown


def _sources(found: dict[str, Any]) -> Table:
    shown = table("clock, GHz", "source", title="Clocks", right=(0,), widest={1: 60})
    for one in found["by_clock"].values():
        shown.add_row(f"{one['clock_ghz']:g}", one["source"])
    return shown


def _energy(found: dict[str, Any]) -> Table:
    corners = found["energy"]
    shown = table("energy of the run, J", *corners, right=range(1, 1 + len(corners)))
    for kind in corners["mid"]["dynamic"]:
        if kind != "total":
            shown.add_row(kind.replace("_", " "), *(f"{one['dynamic'][kind]:,.3f}"
                                                    for one in corners.values()))
    for name, words, form in (("leakage", "leakage", ",.3f"), ("joules", "all", ",.3f"),
                              ("recomputed", "of tokens computed again", ",.3f"),
                              ("joules_per_token", "each token", ",.5f"),
                              ("joules_per_output_token", "each output token", ",.5f")):
        shown.add_row(words, *(cell(one[name], form) for one in corners.values()))
    return shown


def _utilisation(found: dict[str, Any]) -> Table:
    shown = table("stage", "busy", title="Utilisation", right=(1,))
    for name, share in found["utilisation"].items():
        shown.add_row(name, f"{share:.1%}")
    return shown


def _events(found: dict[str, Any]) -> Table:
    shown = table("event", "count", "per token", title="Events", right=(1, 2))
    tokens = max(found["events"]["tokens"], 1)
    for name, count in found["events"].items():
        shown.add_row(name.replace("_", " "), f"{count:,}", f"{count / tokens:,.1f}")
    return shown
