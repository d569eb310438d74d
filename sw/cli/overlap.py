"""``ouroboros overlap``: token-grained pipelining, measured on RTL."""

from pathlib import Path

import click
from rich.table import Table

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.options import (
    json_option,
    machine_option,
    model_options,
    placement_option,
    write_json,
)
from ouroboros.sw.cli.run import job_progress
from ouroboros.sw.experiments.overlap import measure
from ouroboros.sw.lib.text import Console
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.service import backend

__all__ = ["overlap"]


@click.command()
@machine_option()
@model_options
@placement_option
@click.option("--on", default="verilator", show_default=True,
              type=click.Choice(["verilator", "icarus"]), help="Simulator.")
@click.option("--prompt-tokens", default=64, show_default=True, help="Length of the prefill.")
@click.option("--decode-tokens", default=12, show_default=True, type=click.IntRange(min=3),
              help="Tokens that each sequence generates.")
@click.option("--bit-serial", is_flag=True,
              help="Simulate the bit-serial macro instead of its twin (same cycles).")
@json_option
def overlap(machine_name: str, checkpoint: Path, tokenizer: Path | None, placement: str, on: str,
            prompt_tokens: int, decode_tokens: int, bit_serial: bool,
            json_path: Path | None) -> None:
    """Measure how tokens overlap: prefill against one at a time, decode of 1, 2, 4, 8 sequences.

    Both are held against the formula of ``ouroboros predict``: fill + the slowest stage's time for
    each token before the last; max(latency, N x slowest) for each round of decode.
    """
    model = open_model(checkpoint, tokenizer).quantised()
    low = 3  # past <unk>, BOS and EOS
    first = model.special.bos_id or 0

    def tokens(count: int) -> list[int]:
        return [first, *(low + n * 37 % (model.shape.vocab_size - low)
                         for n in range(count - 1))]

    with job_progress() as progress:
        found = measure(load_machine(machine_name), model, backend(on), tokens,
                        placement=placement, prompt_tokens=prompt_tokens,
                        decode_tokens=decode_tokens, twin=not bit_serial, progress=progress)
    results = found.as_dict()
    table = Table("quantity", "cycles", "against", "", title=f"Overlap on {on}")
    table.add_row(f"prefill of {prompt_tokens} tokens", f"{found.prefill_cycles:,}",
                  f"formula {found.predicted_cycles:,}", f"{results['prefill_error']:+.1%}")
    table.add_row("the same, one token at a time", f"{found.alone_cycles:,}",
                  "prefill", f"{results['speedup']:.1f} x")
    for point in found.decode:
        table.add_row(f"decode of {point.sequences} sequences", f"{point.cycles:,}",
                      f"formula {point.predicted_cycles:,}",
                      f"{point.error:+.1%}, {point.ratio:.2f} x one sequence")
    Console().print(table)
    write_json(json_path, {"machine": machine_name, "placement": placement, "on": on, **results})
