"""``ouroboros quantise``: make the integer model and measure what it costs."""

from typing import Any

from ouroboros.sw.api.quantise import QuantiseOptions, quantise_model
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.progress import step_bars
from ouroboros.sw.cli.tables import table

__all__ = ["quantise"]


@command(QuantiseOptions)
def quantise(options: QuantiseOptions, output: Output) -> dict[str, Any]:
    """Quantise a checkpoint to the machine's integers and compare it with the float model."""
    with step_bars() as progress:
        found = quantise_model(options, progress)
    shown = table("quantity", "value", title=f"{options.checkpoint.name}, seed {options.seed}")
    if (measured := found.measured) is not None:
        loss = measured.loss
        error = loss.standard_error_percent
        shown.add_row("integer perplexity", f"{loss.integer_perplexity:.4f} "
                      f"({loss.perplexity_change_percent:+.2f} %"
                      + (")" if error is None else f", s.e. {error:.2f} %)"))
        shown.add_row("float perplexity", f"{loss.float_perplexity:.4f}")
        shown.add_row("KL divergence", f"{loss.kl_nats:.4f} nats")
        shown.add_row("top-1 agreement", f"{loss.top1_agreement_percent:.1f} %")
        shown.add_row("tokens compared", f"{loss.tokens:,} of {measured.place}")
    shown.add_row("parameters", f"{found.parameters:,}")
    shown.add_row("scheme", found.model.scheme.name)
    shown.add_row("residual fraction bits", str(found.model.residual_fraction_bits))
    shown.add_row("model digest", found.model.digest[:16])
    output.show(shown)
    return found.as_dict()
