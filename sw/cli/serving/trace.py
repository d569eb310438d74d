"""``ouroboros serve-trace``: a trace's requests played on a machine."""

from typing import Any

from rich.table import Table

from ouroboros.sw.api.serving.trace import ServeTraceOptions, compare_trace, serve_trace
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.group import DIFFERS
from ouroboros.sw.cli.run import print_waves
from ouroboros.sw.cli.tables import cell, table
from ouroboros.sw.cli.watch import Watch
from ouroboros.sw.replay.compare import PAPER, Case
from ouroboros.sw.replay.perfetto import write_trace
from ouroboros.sw.replay.picture import draw
from ouroboros.sw.replay.played import Played

__all__ = ["serve_trace_command"]

SPREAD = ("mean", "p50", "p90", "p99")
WORDS = {"ttft": "time to first token", "tpot": "time per output token", "e2e": "whole request",
         "wait": "until admitted"}
SHARES = {"kv_reserved_mean": "KV blocks reserved, mean", "kv_reserved_peak": "most",
          "kv_filled_mean": "KV blocks with tokens, mean", "kv_filled_peak": "most",
          "fragmentation": "of these blocks empty", "reserved_unfilled": "reserved, but without",
          "bubbles": "room in the first stage, but no token",
          "array_busy_mean": "arrays busy, mean of cores", "stage_busy_most": "busiest stage"}
COUNTS = {"evictions": "evictions", "tokens_recomputed": "tokens computed again",
          "tokens_sent": "tokens sent", "flying_peak": "tokens under way, most",
          "stage_activation_bytes": "bytes that a stage hands over at once",
          "kv_appends_refused": "appends refused", "sequences_peak": "sequences alive, most"}


@command(ServeTraceOptions, "serve-trace")
def serve_trace_command(options: ServeTraceOptions, output: Output) -> dict[str, Any]:
    """Play a trace of requests on a machine: golden model, RTL under a simulator, or wafer model.

    Lengths are scaled to the machine's context, prompts are drawn. Exit code 3 if a token differs
    from the golden decoder's.
    """
    with Watch() as watch:
        if options.compare:
            return _compare(options, output, watch.progress)
        played = serve_trace(options, watch.progress)
    if options.picture is not None:
        draw(played, options.picture)
    if options.perfetto is not None:
        write_trace(played, options.perfetto)
    found = played.as_dict()
    output.say(f"{found['requests_served']} of {found['requests']} requests of {found['trace']} "
               f"(lengths x {found['scale']:.3g}) in {played.ticks:,} {played.tick}s: "
               f"{found['output_tokens_per_kilotick']:.3f} output tokens per 1,000 "
               f"{played.tick}s")
    output.show(_latencies(found, played.tick), _numbers(found))
    if played.result is not None:
        print_waves(played.result)
    _judge(found, output)
    return found


def _judge(found: dict[str, Any], output: Output) -> None:
    if "bit_exact" in found:
        output.say("All tokens equal the golden decoder's." if found["bit_exact"] else
                   "Tokens DIFFER from the golden decoder's.")
        output.exit_code = 0 if found["bit_exact"] else DIFFERS


def _latencies(found: dict[str, Any], tick: str) -> Table:
    shown = table(f"latency, {tick}s", *SPREAD, right=range(1, 1 + len(SPREAD)))
    for name, words in WORDS.items():
        have = found.get(f"{name}_ticks")
        if have is not None:
            shown.add_row(words, *(f"{have[key]:,.1f}" for key in SPREAD))
    return shown


def _numbers(found: dict[str, Any]) -> Table:
    shown = table("quantity", "value", right=(1,))
    for name, words in SHARES.items():
        if name in found:
            shown.add_row(words, f"{found[name]:.1%}")
    for name, words in COUNTS.items():
        if name in found:
            shown.add_row(words, f"{found[name]:,}")
    return shown


def _compare(options: ServeTraceOptions, output: Output, progress: Any) -> dict[str, Any]:
    shown = table("policy", "ticks", "tokens per\n1,000", "TTFT\n99 %", "TPOT\nmean",
                  "sequences\nmean", "array\nbusy", "handed over,\nbytes", "evic-\ntions",
                  "computed\nagain", right=range(1, 10))
    exact: list[bool] = []

    def told(case: Case, played: Played) -> None:
        found = played.as_dict()
        exact.extend([found["bit_exact"]] if "bit_exact" in found else [])
        output.say(f"{case.name}: {played.ticks:,} {played.tick}s")

        def of(name: str, key: str) -> Any:
            return None if found[name] is None else found[name][key]
        shown.add_row(
            case.name, f"{played.ticks:,}", f"{found['tokens_per_kilotick']:.3f}",
            cell(of("ttft_ticks", "p99"), ",.0f"), cell(of("tpot_ticks", "mean"), ",.0f"),
            f"{found['sequences_mean']:.2f}", cell(found.get("array_busy_mean"), ".1%"),
            f"{found['stage_activation_bytes']:,}", f"{found['evictions']:,}",
            f"{found['tokens_recomputed']:,}")

    found = compare_trace(options, told, progress)
    output.show(shown)
    for name, words, paper in (
            ("token_over_sequence", "token over sequence grain", f"published {PAPER['grain']}"),
            ("distributed_over_static", "distributed over static KV", f"published {PAPER['kv']}"),
            ("ring_over_none", "ring over none", "")):
        if found["factors"][name] is not None:
            output.say(f"{words}: {found['factors'][name]:.2f}x{f' ({paper})' if paper else ''}")
    _judge({"bit_exact": all(exact)} if exact else {}, output)
    return found
