"""What each idea brings: 64 dies over NVLink, one wafer, compute in memory, tokens, mapping, KV."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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

SHOWN = (CHAT, "512:512", "2048:128")
STATIC = {CHAT: 2048, "512:512": 2048, "2048:128": 4096}
"""Tokens that a static KV cache reserves for each sequence: declared here, the paper has none."""
FULL = Place(requests=600)
SNAKE = (("hops_per_block_side", 1.74), ("busiest_link_share", 0.125))
"""Blocks along die-by-die snakes: 1.74 times the byte-hops of the annealed placement (150.3 to
86.4 M, docs/placement.md); busiest link as annealed, without relief: 704 of 5,627 flits."""
STEPS: tuple[tuple[str, dict[str, object], float | None], ...] = (
    ("wafer", {"border_ns": 0.0, "border_gb_s": 0.0}, 1.15),
    ("compute in memory", {"array_factor": 1.0}, 1.49),
    ("token-grained", {"grain": "token"}, 2.05),
    ("mapping", {"assumptions": ()}, 1.17),
    ("distributed KV", {"static_tokens": 0, "ring": True}, 1.99))
"""Idea, what it sets, and the paper's gain."""


def start(mix: str) -> Place:
    """Dies over NVLink with none of the ideas."""
    return replace(FULL, mix=mix, border_ns=700.0, border_gb_s=300.0, array_factor=4.0,
                   grain="sequence", assumptions=SNAKE, static_tokens=STATIC[mix], ring=False)


def places(_: Sequence[Path]) -> Mapping[str, Place]:
    """The chain as the paper builds it up, and each idea taken from the whole."""
    found = {}
    for mix in SHOWN:
        place = start(mix)
        found[f"{mix}: 64 dies over NVLink"] = place
        for name, sets, _gain in STEPS:
            place = replace(place, **sets)      # type: ignore[arg-type]
            found[f"{mix}: + {name}"] = place
        whole = replace(FULL, mix=mix)
        for name, sets, _gain in STEPS:
            without = {key: getattr(start(mix), key) for key in sets}
            found[f"{mix}: whole - {name}"] = replace(whole, **without)
    return found


def find(figures: Figures) -> Finding:
    """Factor of each step on throughput and on energy, in the chain and alone."""
    rows, curves = [], []
    for mix in SHOWN:
        names = [f"{mix}: 64 dies over NVLink", *(f"{mix}: + {name}" for name, _, _ in STEPS)]
        rate = [float(figures[name]["output_tokens_per_s"]) for name in names]
        joules = [float(figures[name]["energy"]["mid"]["joules_per_output"]) for name in names]
        for n, (name, sets, paper) in enumerate(STEPS):
            alone = rate[-1] / float(figures[f"{mix}: whole - {name}"]["output_tokens_per_s"])
            rows.append(Row(
                what=f"{mix}: {name}", paper=paper, ours=rate[n + 1] / rate[n],
                why=f"terms: {', '.join(sets)}; x {joules[n + 1] / joules[n]:.2f} in energy of a "
                    f"token; taken from the whole it costs x {alone:.2f}"))
        curves.append(Curve(name=mix, y=tuple(value / rate[0] for value in rate)))
    curves.append(Curve(name="paper, each step times the one before", y=_paper()))
    return Finding(rows=tuple(rows), picture=Picture(
        title="Throughput, 64 dies over NVLink = 1", x=("NVLink", *(name for name, _, _ in STEPS)),
        x_title="", y_title="output tokens/s, relative", curves=tuple(curves), log=True),
        words="Which idea brings most depends on lengths: prompts make tokens worth more than "
              "sequences, short requests make room worth more. The paper's factors do not multiply "
              "either.")


def _paper() -> tuple[float, ...]:
    found = [1.0]
    for _, _, gain in STEPS:
        found.append(found[-1] * (gain or 1.0))
    return tuple(found)


EXPERIMENT = Experiment(
    name="ablation", title="What each idea brings", places=places, find=find,
    about="64 dies: every border between dies adds 700 ns and passes 300 GB/s (NVLink, half of "
          "600 each way). Without compute in memory a product takes four times as long: a row of "
          "a macro in a cycle, 8 bits at once, instead of 32 rows in 8. Without the mapping "
          "blocks lie along snakes. Static KV reserves 2,048 tokens (4,096 for prompts of 2,048).")
