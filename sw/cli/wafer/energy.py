"""``ouroboros energy``: joules of a model's tokens on a wafer, by kind."""

from typing import Any

from rich.table import Table

from ouroboros.sw.api.wafer.energy import EnergyOfModel, EnergyOptions, energy_of_model
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.lib.quantities import CORNERS

__all__ = ["energy"]

KINDS = {"array": "rows of macros read", "mac": "products and sums",
         "kv_write": "writes of K and V", "sfu": "special functions", "buffers": "buffers",
         "htree": "H-trees", "noc": "routers and links", "die_links": "die borders",
         "wafer_links": "between wafers", "host": "host", "total": "total"}


def _split(found: dict[str, Any]) -> Table:
    shown = table("kind", *CORNERS, "of mid, %", right=range(1, 5),
                  title="mJ of a generated token's pass, leakage apart")
    parts = {corner: found["corners"][corner]["decoded"] for corner in CORNERS}
    for key, name in KINDS.items():
        mid = parts["mid"][key] / parts["mid"]["total"]
        shown.add_row(name, *(f"{1e3 * parts[corner][key]:,.3f}" for corner in CORNERS),
                      f"{100 * mid:.1f}")
    for key, name in (("prompt", "a prompt token"),
                      ("recomputed", "recomputed, for each generated token"),
                      ("output", "all, for each generated token")):
        shown.add_row(name, *(f"{1e3 * found['corners'][corner][key]['total']:,.3f}"
                              for corner in CORNERS), "")
    shown.add_row("leakage, W", *(f"{found['corners'][corner]['leakage_w']:,.0f}"
                                  for corner in CORNERS), "")
    return shown


def _power(found: dict[str, Any], corner: str) -> Table:
    shown = table("clock,\nGHz", "cap,\nkW", "kW", "generated\ntokens/s", "of the\npipeline, %",
                  "J/token", right=range(6),
                  title=f"Throughput without a cap and within one: figures {corner}")
    for row in found["corners"][corner]["power"]:
        cap, each = row["cap_w"], row["joules_per_token"]
        shown.add_row(f"{row['clock_ghz']:g}", "" if cap is None else f"{cap / 1e3:g}",
                      f"{row['watts'] / 1e3:,.1f}", f"{row['tokens_per_s']:,.0f}",
                      f"{100 * row['throttled']:.0f}",
                      "all leaks" if each is None else f"{each:.4f}")
    return shown


def _sweep(found: dict[str, Any]) -> Table:
    rows = found["row_reads"]
    shown = table("pJ/row", "pJ/B", "", "mJ of a\npass", "array, %", "tokens/s", "J/token",
                  right=(0, 1, 3, 4, 5, 6),
                  title=(f"Energy of a row read, at most {rows[0]['cap_w'] / 1e3:g} kW and "
                         f"{rows[0]['clock_ghz']:g} GHz"))
    for row in rows:
        shown.add_row(f"{row['pj_per_row']:,.1f}", f"{row['pj_per_byte']:.3f}", row["what"],
                      f"{1e3 * row['joules_per_decoded_token']:,.2f}",
                      f"{100 * row['array_share']:.0f}", f"{row['tokens_per_s']:,.0f}",
                      f"{row['joules_per_token']:.4f}")
    return shown


def _figures(model: EnergyOfModel) -> Table:
    shown = table("figure", *CORNERS, "unit", "source", right=range(1, 4), widest={5: 36},
                  title="Technology")
    for name, value in model.technology.as_dict().items():
        low, high = value.get("low", value["mid"]), value.get("high", value["mid"])
        shown.add_row(name, f"{low:g}", f"{value['mid']:g}", f"{high:g}", value["unit"],
                      value["source"])
    return shown


@command(EnergyOptions)
def energy(options: EnergyOptions, output: Output) -> dict[str, Any]:
    """Energy of a model's tokens on the wafer, by kind, and what a power cap leaves.

    Events of the programs times figures of a technology file; low, mid and high are what its
    sources leave open. Clock trees, dispatchers and power supply are not counted.
    """
    model = energy_of_model(options)
    found = model.as_dict()
    mid = found["corners"]["mid"]
    output.say(f"{found['model']} on machine {found['machine']!r}: "
               f"{1e3 * mid['decoded']['total']:,.1f} mJ a generated token's pass at context "
               f"{found['context']:,} ({1e3 * found['corners']['low']['decoded']['total']:,.1f} to "
               f"{1e3 * found['corners']['high']['decoded']['total']:,.1f})")
    output.show(_split(found), _power(found, "mid"))
    output.detail(_power(found, "low"), _power(found, "high"), _sweep(found), _figures(model))
    if not output.verbose:
        output.say("other corners, sweep of the energy of a row read, figures' sources: -v")
    return found
