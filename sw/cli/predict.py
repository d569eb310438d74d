"""``ouroboros predict``: cycles of a placed model, without a simulator."""

from pathlib import Path

import click
from rich.table import Table

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import (
    json_option,
    machine_option,
    model_options,
    placement_option,
    print_whole,
    write_json,
)
from ouroboros.sw.lib.text import Console, literal
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.pipeline import Prediction, stage_rows
from ouroboros.sw.quantise.source import open_model

__all__ = ["predict"]

COLUMNS = {"array": "array", "kv_writes": "KV writes", "sfu": "SFU", "send": "send",
           "flits_in": "flits in", "flits_out": "flits out", "dispatch": "dispatch",
           "slots": "slots", "serial": "serial", "stage_time": "stage time", "binds": "binds"}


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise PerfError(f"sequences must be whole numbers with commas between, "
                        f"not {text!r}") from None


def _table(prediction: Prediction) -> Table:
    time = prediction.decode_time
    table = Table(title=literal(f"Cycles per token at context {prediction.context}, "
                                f"machine {prediction.program.machine.name!r}, "
                                f"placement {prediction.program.placement!r}"))
    table.add_column("stage", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="left" if title == "binds" else "right", no_wrap=True)
    shown: set[tuple[str, str]] = set()
    for row in stage_rows(time):
        # Stages that differ from one shown in nothing but their number are left out.
        layer, _, kind = row["stage"].rpartition(".")
        key = (kind if layer[:1] == "l" else row["stage"],
               str([row[name] for name in COLUMNS if name not in ("slots", "stage_time")]))
        if key not in shown:
            shown.add(key)
            table.add_row(row["stage"], *(str(row[name]) for name in COLUMNS))
    return table


@click.command()
@machine_option()
@model_options
@placement_option
@click.option("--prompt-tokens", default=64, show_default=True, metavar="N",
              help="Length of the prompt.")
@click.option("--context", default=128, show_default=True, metavar="N",
              help="Tokens that a decoded token attends to.")
@click.option("--sequences", default="1,2,4,8", show_default=True, metavar="N,N,..",
              help="Numbers of sequences that are decoded together.")
@click.option("--stream", is_flag=True, help="Logits go to the host.")
@json_option
def predict(machine_name: str, checkpoint: Path, tokenizer: Path | None, placement: str,
            prompt_tokens: int, context: int, sequences: str, stream: bool,
            json_path: Path | None) -> None:
    """Predict stage times, latency, prefill and decode of a model on a machine, in cycles.

    Stage times are bounds from below: the largest occupancy of any unit of a core. Stages equal to
    one already shown are left out of the table; the JSON file has all.
    """
    counts = _numbers(sequences)
    model = open_model(checkpoint, tokenizer).quantised()
    program = place_model(load_machine(machine_name), model, placement=placement)
    prediction = Prediction(program, prompt_tokens=prompt_tokens, context=context, stream=stream)
    results = prediction.as_dict(counts)

    print_whole(_table(prediction))
    totals = Table("quantity", "cycles", "binds", title="Totals")
    totals.add_row("least interval between tokens", f"{results['interval_cycles']:,}",
                   results["interval_binds"])
    totals.add_row(f"latency of a token at context {context}", f"{results['latency_cycles']:,}", "")
    totals.add_row("latency of a sequence's first token",
                   f"{results['first_token_latency_cycles']:,}", "")
    totals.add_row(f"prefill of {prompt_tokens} tokens", f"{results['prefill_cycles']:,}", "")
    for row in results["decode"]:
        totals.add_row(f"decode of {row['sequences']}, per token",
                       f"{row['cycles_per_token']:,.1f}", row["binds"])
    Console().print(totals)
    write_json(json_path, results)
