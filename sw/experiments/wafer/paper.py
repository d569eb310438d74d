"""The paper's models against the four baselines: throughput and energy, ratios first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ouroboros.sw.baselines.systems import BASELINES
from ouroboros.sw.experiments.wafer.experiment import (
    Curve,
    Experiment,
    Figures,
    Finding,
    Picture,
    Row,
    refusal,
)
from ouroboros.sw.experiments.wafer.measure import Place, tokens_per_s
from ouroboros.sw.experiments.wafer.traffic import CHAT, MIXES
from ouroboros.sw.lib.quantities import CORNERS
from ouroboros.sw.wafer.clocks import CAPS_W, clocks

__all__ = ["EXPERIMENT"]

REQUESTS = {CHAT: 3000, "512:512": 1500, "2048:128": 800, "128:128": 5000, "128:2048": 800}
"""Of the wafer, some twenty times what is alive at once."""
BATCHED = 24_000
"""Of a baseline, which has a thousand sequences at once and more: its last batches count little."""
WAFERS = {"llama-13b": 1, "llama-33b": 1, "llama-65b": 2}
OTHERS = {"baichuan-13b": 1, "qwen-32b": 1}
GAINS = {"llama-13b": 5.4, "llama-33b": 2.8, "llama-65b": 5.4}
"""Throughput over the DGX's, the paper."""
ENERGY = {"dgx-a100": -84, "tpu-v4": -82, "attacc": -78, "wse2": -66}
"""Energy of an output token against each, %, the paper."""
BERT, INPUTS = "bert-large", "512:1"
T5, T5_GAIN = "t5-11b", 0.7
DGX = "dgx-a100"
IMPLIED_W = CAPS_W[0]
"""Power that the paper's gains in throughput and energy come to together."""


def places(_: Sequence[Path]) -> Mapping[str, Place]:
    """Three models on five mixes here and on the DGX; 13B's chat on the others; other models."""
    found = {}
    for model, wafers in WAFERS.items():
        for mix in MIXES:
            found[f"wafer {model} {mix}"] = Place(model=model, wafers=wafers, mix=mix,
                                                  requests=REQUESTS[mix])
            found[f"{DGX} {model} {mix}"] = Place(system=DGX, model=model, mix=mix,
                                                  requests=BATCHED)
    for system in BASELINES:
        found[f"{system} llama-13b {CHAT}"] = Place(system=system, requests=BATCHED)
    for model, wafers in OTHERS.items():
        found[f"wafer {model} {CHAT}"] = Place(model=model, wafers=wafers,
                                               requests=REQUESTS[CHAT])
        found[f"{DGX} {model} {CHAT}"] = Place(system=DGX, model=model, requests=BATCHED)
    found[f"wafer {BERT} {INPUTS}"] = Place(model=BERT, mix=INPUTS, requests=REQUESTS[CHAT])
    found[f"{DGX} {BERT} {INPUTS}"] = Place(system=DGX, model=BERT, mix=INPUTS, requests=BATCHED)
    found[f"wafer {T5} {CHAT}"] = Place(model=T5, requests=REQUESTS[CHAT])
    return found


def find(figures: Figures) -> Finding:
    """Ratios of gains, gains per clock and power, energy against each baseline, other models."""
    ratios, curves = _ratios(figures)
    rows = [*ratios, *_gains(figures), *_energy(figures), *_others(figures)]
    return Finding(
        rows=tuple(rows), picture=Picture(
            title="Gain over DGX A100, relative to 13B's", x=MIXES, x_title="traffic",
            y_title="gain / gain of 13B", curves=curves),
        words="Ratios of gains need no clock; the mix of lengths moves them by more than they "
              "differ from the paper's. Absolute gains are a matter of clock and power.")


def gain(figures: Figures, model: str, mix: str = CHAT, **at: Any) -> float:
    """Throughput of the wafer over the DGX's."""
    return tokens_per_s(figures[f"wafer {model} {mix}"], **at) / float(
        figures[f"{DGX} {model} {mix}"]["output_tokens_per_s"])


def _ratios(figures: Figures) -> tuple[list[Row], tuple[Curve, ...]]:
    rows, curves = [], []
    for model in ("llama-33b", "llama-65b"):
        paper = GAINS[model] / GAINS["llama-13b"]
        ours = [gain(figures, model, mix) / gain(figures, "llama-13b", mix) for mix in MIXES]
        nearest = min(zip(ours, MIXES, strict=True), key=lambda one: abs(one[0] - paper))
        why = (f"term: mix ({model} {_fill(figures, model)} of its pipeline at {CHAT}); "
               f"{min(ours):.2f} to {max(ours):.2f} over the five, {nearest[0]:.2f} at "
               f"{nearest[1]}; the paper names no lengths")
        rows += [Row(what=f"gain of {model} / gain of llama-13b, {mix}", paper=paper, ours=value,
                     why=why) for mix, value in zip(MIXES, ours, strict=True)]
        curves.append(Curve(name=model, y=tuple(ours)))
        curves.append(Curve(name=f"{model}, paper", y=(paper,) * len(MIXES)))
    return rows, tuple(curves)


def _fill(figures: Figures, model: str) -> str:
    return f"fills {figures[f'wafer {model} {CHAT}']['pipeline_share']:.0%}"


def _gains(figures: Figures) -> list[Row]:
    rows = []
    for model, paper in GAINS.items():
        meets = paper / gain(figures, model)
        wafers = WAFERS[model]
        rows += [Row(
            what=f"{model}: tokens/s over DGX at {one.mid:g} GHz", paper=paper, form=".1f",
            ours=gain(figures, model, clock_ghz=one.mid),
            why=f"term: clock_ghz; the paper's gain at {meets:.2f} GHz without a limit of power")
            for one in clocks().values()]
        rows += [Row(
            what=f"{model}: the same within {wafers * IMPLIED_W / 1e3:g} kW, {corner} energies",
            paper=paper, form=".1f",
            ours=gain(figures, model, cap_w=wafers * IMPLIED_W, corner=corner),
            why="term: array_read, energy of a row read; 5.6 kW a wafer is 0.86 of a DGX, what "
                "the paper's gains imply") for corner in CORNERS]
    return rows


def _energy(figures: Figures) -> list[Row]:
    rows = []
    ours = figures[f"wafer llama-13b {CHAT}"]
    for system, paper in ENERGY.items():
        found = figures[f"{system} llama-13b {CHAT}"]
        ways = dict(found["joules_per_output"])
        for corner in CORNERS:
            rate = tokens_per_s(ours, cap_w=IMPLIED_W, corner=corner)
            each = ours["energy"][corner]
            joules = each["dynamic_per_output"] + each["leakage_w"] / rate
            for way, theirs in ways.items():
                change = 100 * (joules / theirs - 1)
                rows.append(Row(
                    what=f"13B: energy of a token against {system}, {way}, {corner} energies, %",
                    paper=paper, ours=change, form="+.0f",
                    why=_energy_why(each["array_share"], len(ways), system)))
    return rows


def _energy_why(share: float, ways: int, system: str) -> str:
    words = f"term: array_read, {share:.0%} of ours"
    if system == "wse2":
        return f"{words}; this baseline serves one sequence at a time (no batched model published)"
    return f"{words}; and the way of counting theirs, one of {ways}"


def _others(figures: Figures) -> list[Row]:
    rows = []
    for model in OTHERS:
        refused = refusal(figures[f"wafer {model} {CHAT}"])
        rows.append(Row(what=f"{model}: tokens/s over DGX at 0.25 GHz", paper=None, form=".1f",
                        ours=None if refused else gain(figures, model, clock_ghz=0.25),
                        why=refused or "the paper gives only an average over models"))
    rows.append(Row(what=f"{BERT}, inputs of 512: inputs/s over DGX at 0.25 GHz", paper=None,
                    ours=gain(figures, BERT, INPUTS, clock_ghz=0.25), form=".1f",
                    why="the paper gives only an average over models; experiment encoders"))
    rows.append(Row(what=f"{T5}: tokens/s over DGX", paper=T5_GAIN, ours=None,
                    why=f"refused: {refusal(figures[f'wafer {T5} {CHAT}'])}"))
    return rows


EXPERIMENT = Experiment(name="paper", title="The paper's models against the four baselines",
                        places=places, find=find,
                        about="Lengths: chat has the means of ShareGPT; all requests at once, "
                              "enough for a steady state of each machine.")
