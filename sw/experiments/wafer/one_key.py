"""Experiments that change one thing: defects, links between dies, lengths, links between wafers."""

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

__all__ = ["EXPERIMENTS"]

REQUESTS = 1000
DENSITIES = (0.0, 0.05, 0.09, 0.2, 0.45, 1.0)
BORDERS = (0.0, 0.3, 1.0, 2.0, 4.0)
PROMPTS, OUTPUTS = (128, 512, 2048), (128, 512, 2048)
LINK_GB_S, LINK_NS = (12.5, 25.0, 50.0, 100.0, 400.0), (300.0, 500.0, 1000.0, 5000.0)


def _rate(figures: Figures, name: str) -> float:
    return float(figures[name]["output_tokens_per_s"])


def _defects(_: Sequence[Path]) -> Mapping[str, Place]:
    return {f"{model} {density:g}": Place(
        model=model, requests=REQUESTS, assumptions=(("defect_density_per_cm2", density),))
        for model in ("llama-13b", "llama-33b") for density in DENSITIES}


def _find_defects(figures: Figures) -> Finding:
    rows, curves = [], []
    for model in ("llama-13b", "llama-33b"):
        base = _rate(figures, f"{model} {DENSITIES[0]:g}")
        shares = []
        for density in DENSITIES:
            name = f"{model} {density:g}"
            shares.append(100 * _rate(figures, name) / base)
            one = figures[name]
            rows.append(Row(what=f"{model}, {density:g} defects/cm2: throughput, %", paper=None,
                            ours=shares[-1], form=".1f",
                            why=f"room for {one['kv_tokens']:,} tokens, {one['members']} members; "
                                "term: defect_density_per_cm2"))
        curves.append(Curve(name=model, y=tuple(shares)))
    return Finding(rows=tuple(rows), picture=Picture(
        title="Throughput by defects", x=tuple(f"{d:g}" for d in DENSITIES),
        x_title="defects a cm2", y_title="% of a wafer without", curves=tuple(curves), lines=True),
        words="Dead cores cost nothing until a KV head has a member less; spare cores and those "
              "left over take most of them.")


def _borders(_: Sequence[Path]) -> Mapping[str, Place]:
    return {f"{mix} {count:g}": Place(
        mix=mix, requests=REQUESTS, assumptions=(("die_crossings_per_way", count),))
        for mix in (CHAT, "2048:128") for count in BORDERS}


def _find_borders(figures: Figures) -> Finding:
    rows, curves = [], []
    for mix in (CHAT, "2048:128"):
        base = _rate(figures, f"{mix} 1")
        change = [100 * _rate(figures, f"{mix} {count:g}") / base for count in BORDERS]
        rows += [Row(what=f"{mix}, {count:g} borders a way: throughput, %", paper=None, ours=value,
                     form=".1f", why=f"latency {figures[f'{mix} {count:g}']['latency_cycles']:,} "
                                     "cycles; term: die_crossings_per_way")
                 for count, value in zip(BORDERS, change, strict=True)]
        curves.append(Curve(name=mix, y=tuple(change)))
    return Finding(rows=tuple(rows), picture=Picture(
        title="Throughput by borders between dies", x=tuple(f"{c:g}" for c in BORDERS),
        x_title="borders on a way between two stages", y_title="% of one border",
        curves=tuple(curves), lines=True),
        words="Decode feels the latency of borders, prompts do not.")


def _lengths(_: Sequence[Path]) -> Mapping[str, Place]:
    return {f"{model} {prompt}:{output}": Place(
        model=model, mix=f"{prompt}:{output}", requests=400)
        for model in ("llama-13b", "llama-33b") for prompt in PROMPTS for output in OUTPUTS}


def _find_lengths(figures: Figures) -> Finding:
    rows, curves = [], []
    for model in ("llama-13b", "llama-33b"):
        for prompt in PROMPTS:
            rates = []
            for output in OUTPUTS:
                one = figures[f"{model} {prompt}:{output}"]
                rates.append(_rate(figures, f"{model} {prompt}:{output}") / 1e3)
                rows.append(Row(
                    what=f"{model} {prompt}:{output}: 1,000 output tokens/s at 1 GHz", paper=None,
                    ours=rates[-1], form=",.1f",
                    why=f"pipeline {one['pipeline_share']:.0%} full, {one['sequences']:.0f} "
                        f"sequences alive, KV {one['kv_share']:.0%} full, "
                        f"{one['recomputed_share']:.0%} computed again"))
            curves.append(Curve(name=f"{model}, prompts of {prompt}", y=tuple(rates)))
    return Finding(rows=tuple(rows), picture=Picture(
        title="Throughput by lengths, 1 GHz", x=tuple(map(str, OUTPUTS)),
        x_title="output tokens of a request", y_title="1,000 output tokens/s",
        curves=tuple(curves), lines=True, log=True),
        words="Long outputs are bound by room for KV, long prompts by the pipeline.")


def _wafers(_: Sequence[Path]) -> Mapping[str, Place]:
    base = {f"{gb:g} GB/s": Place(model="llama-65b", wafers=2, requests=REQUESTS,
                                  assumptions=(("wafer_link_gb_s", gb),)) for gb in LINK_GB_S}
    base |= {f"{ns:g} ns": Place(model="llama-65b", wafers=2, requests=REQUESTS,
                                 assumptions=(("wafer_link_ns", ns),)) for ns in LINK_NS}
    return base | {f"{model}, {wafers} wafers": Place(model=model, wafers=wafers, requests=REQUESTS)
                   for model, counts in (("llama-13b", (1, 2)), ("llama-33b", (1, 2)),
                                         ("llama-65b", (2, 3, 4))) for wafers in counts}


def _find_wafers(figures: Figures) -> Finding:
    rates = {name: _rate(figures, name) / 1e3 for name in figures}
    rows = tuple(Row(
        what=f"{'llama-65b, 2 wafers, ' if name[0].isdigit() else ''}{name}: 1,000 output "
             "tokens/s at 1 GHz", paper=None, ours=rate, form=",.1f",
        why=f"{figures[name]['members']} members of a head, room for "
            f"{figures[name]['kv_tokens']:,} tokens; "
            f"{1e3 * figures[name]['energy']['mid']['joules_per_output']:.0f} mJ a token")
        for name, rate in rates.items())
    return Finding(rows=rows, picture=Picture(
        title="Wafers in a row", x=tuple(rates), x_title="", y_title="1,000 output tokens/s",
        curves=(Curve(name="1 GHz", y=tuple(rates.values())),)),
        words="The link between wafers is no bottleneck; room for KV is what a second one brings.")


EXPERIMENTS = (
    Experiment(name="defects", title="Defects", places=_defects, find=_find_defects),
    Experiment(name="die-links", title="Borders between dies", places=_borders,
               find=_find_borders),
    Experiment(name="lengths", title="Lengths of sequences", places=_lengths, find=_find_lengths),
    Experiment(name="two-wafers", title="Several wafers", places=_wafers, find=_find_wafers))
