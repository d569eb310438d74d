"""``ouroboros speed``: how fast the whole model simulates."""

from pathlib import Path

import click
from rich.table import Table

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import json_option, machine_option, model_options, write_json
from ouroboros.sw.cli.run import job_progress
from ouroboros.sw.lib.text import Console
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.service import serve

__all__ = ["speed"]

PROMPTS = ("Once upon a time", "The dog wanted to", "One day", "In the forest")
KEYS = ("bit_exact", "cycles", "cycles_per_s", "tokens_per_s", "generated_tokens", "build_s",
        "load_s", "run_s")


@click.command()
@machine_option()
@model_options
@click.option("--tokens", default=8, show_default=True, type=click.IntRange(min=1),
              help="Tokens that each of four sequences generates.")
@json_option
def speed(machine_name: str, checkpoint: Path, tokenizer: Path | None, tokens: int,
          json_path: Path | None) -> None:
    """Measure simulation speed with four sequences: bit-serial macros, then their twin.

    Build times are 0 or near it where the simulator was built before (``make clean`` removes it).
    """
    source, machine = open_model(checkpoint, tokenizer), load_machine(machine_name)
    results = {}
    for name, twin in (("bit_serial", False), ("twin", True)):
        with job_progress() as progress:
            served = serve(source, machine, PROMPTS, tokens=tokens, on="verilator", twin=twin,
                           progress=progress)
        summary = served.summary()
        results[name] = {key: summary[key] for key in KEYS}
    table = Table("", *(name.replace("_", "-") for name in results),
                  title=f"Machine {machine_name!r} under Verilator, 4 sequences")
    for key in KEYS:
        table.add_row(key, *(f"{row[key]:,.2f}" if isinstance(row[key], float) else str(row[key])
                             for row in results.values()))
    Console().print(table)
    write_json(json_path, {"machine": machine_name, **results})
