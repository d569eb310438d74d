"""``ouroboros overlap``: token-grained pipelining, measured on RTL."""

from typing import Any

from ouroboros.sw.api.overlap import OverlapOptions, measure_overlap
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.progress import step_bars
from ouroboros.sw.cli.tables import table

__all__ = ["overlap"]


@command(OverlapOptions)
def overlap(options: OverlapOptions, output: Output) -> dict[str, Any]:
    """Measure how tokens overlap: prefill against one at a time, decode of 1, 2, 4, 8 sequences.

    Both are held against the formula of ``ouroboros predict``: fill + the slowest stage's time for
    each token before the last; max(latency, N x slowest) for each round of decode.
    """
    with step_bars() as progress:
        measured = measure_overlap(options, progress)
    found, results = measured.overlap, measured.as_dict()
    shown = table("quantity", "cycles", "against", "", title=f"Overlap on {options.on}", right=(1,))
    shown.add_row(f"prefill of {found.prompt_tokens} tokens", f"{found.prefill_cycles:,}",
                  f"formula {found.predicted_cycles:,}", f"{results['prefill_error']:+.1%}")
    shown.add_row("the same, one token at a time", f"{found.alone_cycles:,}",
                  "prefill", f"{results['speedup']:.1f} x")
    for point in found.decode:
        shown.add_row(f"decode of {point.sequences} sequences", f"{point.cycles:,}",
                      f"formula {point.predicted_cycles:,}",
                      f"{point.error:+.1%}, {point.ratio:.2f} x one sequence")
    output.show(shown)
    return results
