"""``ouroboros predict``: cycles of a placed model, without a simulator."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ouroboros.sw.api.predict import Predicted, PredictOptions, predict_cycles
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.perf.pipeline import stage_rows

__all__ = ["predict"]

TIMES = {"stage_time": "cycles", "binds": "binds", "serial": "serial", "slots": "slots"}
UNITS = {"array": "array", "kv_writes": "KV\nwrites", "sfu": "SFU", "send": "send",
         "flits_in": "flits\nin", "flits_out": "flits\nout", "dispatch": "dis-\npatch"}
"""Columns of the two tables of stages, by key."""


def _distinct(found: Predicted) -> list[dict[str, Any]]:
    """Stages but for those that differ from one before in nothing but their number."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for row in stage_rows(found.prediction.decode_time):
        layer, _, kind = row["stage"].rpartition(".")
        kept.setdefault((kind if layer[:1] == "l" else row["stage"],
                         str([row[name] for name in (*UNITS, "serial", "binds")])), row)
    return list(kept.values())


def _stages(rows: list[dict[str, Any]], columns: Mapping[str, str], title: str) -> Table:
    shown = table("stage", *columns.values(), title=title, right=[
        n for n, name in enumerate(columns, start=1) if name != "binds"])
    for row in rows:
        shown.add_row(row["stage"], *(str(row[name]) for name in columns))
    return shown


def _totals(results: dict[str, Any]) -> Table:
    shown = table("quantity", "cycles", "binds", right=(1,), title=(
        f"Machine {results['machine']!r}, placement {results['placement']!r}"))
    for row in results["decode"]:
        shown.add_row(f"decode of {row['sequences']}, per token",
                      f"{row['cycles_per_token']:,.1f}", row["binds"])
    for name, key in (
            (f"prefill of {results['prompt_tokens']} tokens", "prefill"),
            ("least interval between tokens", "interval"),
            (f"latency of a token at context {results['context']}", "latency"),
            ("latency of a sequence's first token", "first_token_latency")):
        shown.add_row(name, f"{results[f'{key}_cycles']:,}", results.get(f"{key}_binds", ""))
    return shown


@command(PredictOptions)
def predict(options: PredictOptions, output: Output) -> dict[str, Any]:
    """Predict stage times, latency, prefill and decode of a model on a machine, in cycles.

    Stage times are bounds from below: the largest occupancy of any unit of a core. Stages equal to
    one already shown are left out of the table; the JSON file has all.
    """
    found = predict_cycles(options)
    results = found.as_dict()
    rows = _distinct(found)
    output.show(_totals(results),
                _stages(rows, TIMES, f"Cycles per token at context {results['context']}"),
                _stages(rows, UNITS, "The same by unit"))
    if found.levels:
        shown = table("prompt", "output", "requests", "every core\nfollowed", "wafer\nmodel", "",
                      title="Cycles until the last result", right=range(6))
        for one in found.levels:
            shown.add_row(*(f"{value:,}" for value in (
                one.prompt, one.output, one.requests, one.machine, one.wafer)),
                f"{one.error:+.1%}")
        output.show(shown)
    return results
