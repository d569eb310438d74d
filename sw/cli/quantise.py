"""``ouroboros quantise``: make the integer model and measure what it costs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ouroboros.sw.cli.options import (
    OutputFile,
    json_option,
    model_options,
    progress_bar,
    write_json,
)
from ouroboros.sw.lib.text import Console, literal
from ouroboros.sw.models.loss import Loss
from ouroboros.sw.quantise.evaluate import evaluate, sample_evaluation
from ouroboros.sw.quantise.source import open_model

__all__ = ["quantise"]


@click.command()
@model_options
@click.option("--calibration", type=click.Path(path_type=Path), metavar="FILE",
              help="Text that sets the scales; by default the model writes its own.")
@click.option("--tokens", type=click.IntRange(min=0), default=4096, show_default=True,
              help="Predictions to compare with the float model; 0 skips the comparison.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Seed of all sampled text.")
@click.option("--residual-fraction-bits", type=int, metavar="N",
              help="Fraction bits of the residual stream; by default from the calibration.")
@click.option("--out", type=OutputFile("version.npy"), metavar="FILE",
              help="Write the integer model (.npz).")
@json_option
def quantise(checkpoint: Path, tokenizer: Path | None, calibration: Path | None, tokens: int,
             seed: int, residual_fraction_bits: int | None, out: Path | None,
             json_path: Path | None) -> None:
    """Quantise a checkpoint to the machine's integers and compare it with the float model."""
    source = open_model(checkpoint, tokenizer)
    with progress_bar("calibrate") as advance:
        model = source.quantised(calibration=calibration, seed=seed, progress=advance,
                                 residual_fraction_bits=residual_fraction_bits)
    if out is not None:
        model.save(out)
    results: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "calibration": None if calibration is None else str(calibration),
        "seed": seed,
        "residual_fraction_bits": model.residual_fraction_bits,
        "digest": model.digest,
    }
    table = Table("quantity", "value", title=literal(f"{checkpoint.name}, seed {seed}"))
    table.add_row("parameters", f"{source.checkpoint.parameter_count:,}")
    table.add_row("residual fraction bits", str(model.residual_fraction_bits))
    table.add_row("model digest", model.digest[:16])
    if tokens:
        text = sample_evaluation(source.checkpoint, tokens, seed)
        with progress_bar("compare") as advance:
            found = evaluate(source.checkpoint, model, text, advance)
        results["evaluation"] = asdict(found)
        _add_rows(table, found)
    Console().print(table)
    write_json(json_path, results)


def _add_rows(table: Table, found: Loss) -> None:
    table.add_row("tokens compared", f"{found.tokens:,}")
    table.add_row("float perplexity", f"{found.float_perplexity:.4f}")
    error = found.standard_error_percent
    table.add_row("integer perplexity", f"{found.integer_perplexity:.4f} "
                  f"({found.perplexity_change_percent:+.2f} %"
                  + (")" if error is None else f", s.e. {error:.2f} %)"))
    table.add_row("KL divergence", f"{found.kl_nats:.4f} nats")
    table.add_row("top-1 agreement", f"{found.top1_agreement_percent:.1f} %")
