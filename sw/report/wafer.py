"""The estimate of a full wafer, in the form in which the demo prints and draws it."""

from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.members import estimate

__all__ = ["wafer_estimate"]

MACHINE, MODEL, CONTEXT = "wafer", "llama-13b", 1024


def wafer_estimate() -> dict[str, Any]:
    """LLaMA-13B on the wafer: title, lead, figures, stage times, assumptions, command, all values.

    Figures and assumptions are texts; ``values`` holds what ``ouroboros wafer --json`` writes.
    """
    best, _ = estimate(load_machine(MACHINE), load_shape(MODEL), WaferOptions(context=CONTEXT))
    found = best.as_dict()
    clock = next(a["value"] for a in found["assumptions"] if a["name"] == "clock_ghz")
    cores = found["cores"]
    figures = [
        ("prefill", f"{found['prefill_tokens_per_s']:,.0f}", "tokens/s",
         f"one token every {found['interval_cycles']:,} cycles; binds: {found['interval_binds']}"),
        ("decode, all sequences together", f"{found['decode_tokens_per_s']:,.0f}", "tokens/s",
         f"{found['sequences']} sequences; binds: {found['decode_binds']}"),
        ("decode, each sequence", f"{found['decode_tokens_per_s_per_sequence']:,.0f}", "tokens/s",
         ""),
        ("latency of a token", f"{found['latency_us']:,.1f}", "µs",
         (f"{found['latency_cycles']:,} cycles through {found['depth_substages']} sub-stages; "
          f"{found['tokens_to_fill']} tokens fill them")),
        ("first token of a prompt as long as the context", f"{1e3 * found['prefill_s']:,.2f}",
         "ms", ""),
        ("room for KV", f"{found['kv_tokens']:,}", "tokens",
         f"{found['kv_tokens_of_cores_left']:,} if no core were left over"),
        ("cores for weights", f"{cores['weights']:,}", "cores",
         (f"of {cores['all']:,}: {cores['dead']} dead by defects, {cores['edge']} at the edge, "
          f"{cores['spare']} spare, {cores['embedding']} for the embedding")),
        ("cores for KV", f"{cores['kv']:,}", "cores", f"{cores['unused']:,} are left over"),
    ]
    return {
        "title": "Estimate: LLaMA-13B on the full wafer",
        "lead": f"Not measured: an analytic model from the cycle formulas of the hardware, for "
                f"tokens at a context of {CONTEXT:,} and an assumed clock of {clock:g} GHz. Times "
                f"are bounds from below; what it takes for granted is listed with it.",
        "command": f"ouroboros wafer --machine {MACHINE} --model {MODEL} --context {CONTEXT}",
        "figures": [{"name": name, "value": value, "unit": unit, "why": why}
                    for name, value, unit, why in figures],
        "stages": [{"name": stage["name"], "cores": stage["cores_per_block"] or "",
                    "cycles": stage["stage_time"], "binds": stage["binds"]}
                   for stage in found["substages"]],
        "assumptions": [{"name": a["name"], "meaning": a["note"], "source": a["source"],
                         "value": _value(a)}
                        for a in found["assumptions"]],
        "values": found,
    }


def _value(assumption: dict[str, Any]) -> str:
    if assumption["unit"] == "yes":
        return ""
    unit = "" if assumption["unit"] == "1" else f" {assumption['unit']}"
    return f"{assumption['value']:g}{unit}"
