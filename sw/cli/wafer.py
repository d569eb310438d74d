"""``ouroboros wafer``: what a full wafer would do with a model, and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import json_option, machine_option, print_whole, write_json
from ouroboros.sw.lib.text import Console
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.busiest_link import read_busiest_link
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.members import OBJECTIVES, estimate

__all__ = ["wafer"]

SWEEP_GHZ = (0.3, 0.5, 1.0, 1.5)


def parse_settings(settings: tuple[str, ...]) -> dict[str, float]:
    """``name=value`` pairs."""
    found = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise PerfError(f"an assumption must be given as name=number, "
                            f"not {setting!r}") from None
    return found


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


@click.command()
@machine_option("wafer")
@click.option("--model", "model_name", default="llama-13b", show_default=True, metavar="NAME",
              help="Shipped shape or path of a TOML file.")
@click.option("--context", default=1024, show_default=True, metavar="N",
              help="Tokens that every token attends to.")
@click.option("--clock-ghz", type=float, metavar="F", help="Clock; short for --set clock_ghz=F.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Another value for an assumption; may be repeated.")
@click.option("--members", type=int, metavar="N",
              help="Cores that share the tokens of a KV head; default: best for --objective.")
@click.option("--objective", type=click.Choice(OBJECTIVES), default="decode", show_default=True,
              help="What members are chosen for: tokens/s of decode or of prefill, or room for KV.")
@click.option("--mapped", "mapped_path", metavar="FILE",
              type=click.Path(path_type=Path, dir_okay=False),
              help="What ouroboros map or relieve wrote by --json: the busiest link of the "
                   "model's own placement.")
@json_option
def wafer(machine_name: str, model_name: str, context: int, clock_ghz: float | None,
          settings: tuple[str, ...], members: int | None, objective: str,
          mapped_path: Path | None, json_path: Path | None) -> None:
    """Estimate a language model on the full wafer: tokens/s, latency, what binds.

    A first, analytic model: bounds from below on time, from the cycle formulas of the hardware and
    the assumptions that are printed with the result. Energy is not in it.
    """
    overrides = parse_settings(settings)
    if clock_ghz is not None:
        overrides["clock_ghz"] = clock_ghz
    model, tried = estimate(
        load_machine(machine_name), load_shape(model_name),
        WaferOptions(context=context, members=members, objective=objective, overrides=overrides,
                     busiest_link=(None if mapped_path is None
                                   else read_busiest_link(mapped_path))))
    found = {**model.as_dict(), "objective": objective, "alternatives": [
        {"members": other.members, "interval_cycles": other.interval_cycles,
         "interval_binds": f"{other.slowest.binds} of {other.slowest.name}",
         "prefill_tokens_per_s": other.prefill_tokens_per_s,
         "decode_tokens_per_s": other.decode_tokens_per_s, "kv_tokens": other.kv_tokens}
        for other in tried]}
    console = Console()
    print_whole(_stage_table(model))
    for table in (_totals(found), _members(model, tried), _sweep(found), _assumption_table(found)):
        console.print(table)
    write_json(json_path, found)
