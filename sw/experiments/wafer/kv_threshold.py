"""KV kept free at admission: throughput against tokens computed again, and what they cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ouroboros.sw.experiments.wafer.experiment import (
    Curve,
    Experiment,
    Figures,
    Finding,
    Picture,
    Row,
)
from ouroboros.sw.experiments.wafer.measure import Place
from ouroboros.sw.experiments.wafer.traffic import CHAT

__all__ = ["EXPERIMENT"]

SHOWN = (CHAT, "512:512", "128:2048")
BLOCKS = (0, 1, 2, 4, 8, 16)
"""KV blocks of a core, of 64 with llama-13b."""


def places(_: Sequence[Path]) -> Mapping[str, Place]:
    """Every number of blocks kept free, for three mixes."""
    return {f"{mix} {blocks}": Place(mix=mix, requests=800, headroom_blocks=blocks)
            for mix in SHOWN for blocks in BLOCKS}


def find(figures: Figures) -> Finding:
    """Both against a headroom of 0."""
    rows, curves = [], []
    for mix in SHOWN:
        base = figures[f"{mix} {BLOCKS[0]}"]
        joules = []
        for blocks in BLOCKS:
            one = figures[f"{mix} {blocks}"]
            joules.append(1e3 * float(one["energy"]["mid"]["joules_per_output"]))
            change = one["output_tokens_per_s"] / base["output_tokens_per_s"] - 1
            rows.append(Row(what=f"{mix}, {blocks} blocks free: mJ a token", paper=None,
                            ours=joules[-1], form=".1f",
                            why=f"{one['recomputed_share']:.1%} of tokens computed again; "
                                f"throughput {change:+.1%}; term: headroom_blocks"))
        curves.append(Curve(name=mix, y=tuple(joules)))
    return Finding(rows=tuple(rows), picture=Picture(
        title="Energy of an output token by KV kept free", x=tuple(map(str, BLOCKS)),
        x_title="KV blocks of a core kept free at admission", y_title="mJ a token",
        curves=tuple(curves), lines=True),
        words="Tokens computed again ride in places that are empty, so they cost little "
              "throughput, but all of their energy: the threshold is a matter of joules.")


EXPERIMENT = Experiment(name="kv-threshold", title="KV kept free at admission", places=places,
                        find=find)
