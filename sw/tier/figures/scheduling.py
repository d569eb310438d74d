"""What the scheduler knows and brings: predictions on other runs, runs with it and without."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.figures.bar import Bar, Bars, Group
from ouroboros.sw.tier.figures.runs import TITLES, Runs
from ouroboros.sw.tier.lengths import draw
from ouroboros.sw.tier.loop import Floats
from ouroboros.sw.tier.predict import Prediction, fit
from ouroboros.sw.tier.serve import Run, run
from ouroboros.sw.tier.systems import system

__all__ = ["Predicted", "Steps", "predicted", "prediction_of", "scheduler_group", "steps_of"]

FITTED_TO = ("openr1", 1)
HELD_OUT = (("openr1", 2), ("dolphin", 3), ("openthoughts", 4))
CAPS = (0.5, 1.0, 2.0)
"""Of the tier's capacity."""
SHORTER = 0.7093
"""Time between tokens that the scheduler saves: CHIME, ISCA 2026, text."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Halves of steps of a run that had no prompt on the link."""

    context: Floats
    """Of the fullest group, as its banks read it, times groups."""
    sequences: Floats
    """That decoded."""
    pim_s: Floats
    """Attention of a block."""
    tokens: Floats
    """Of dense layers, prompts included."""
    dense_s: Floats
    """Dense layers of a block."""


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Errors of a prediction on one run."""

    model: str
    """Model."""
    run: str
    """Trace and seed."""
    held_out: bool
    """Whether it was not fitted to."""
    pim: tuple[float, float]
    """Mean and largest error of attention."""
    dense: tuple[float, float]
    """Of dense layers."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"model": self.model, "run": self.run, "held_out": self.held_out,
                "pim_mean_error": self.pim[0], "pim_most_error": self.pim[1],
                "dense_mean_error": self.dense[0], "dense_most_error": self.dense[1]}


def steps_of(found: Run) -> Steps:
    """What the log of a run says."""
    parts: dict[str, list[Floats]] = {name: [] for name in (
        "context", "sequences", "pim_s", "tokens", "dense_s")}
    for half in "01":
        keep = (found.column(f"sequences_{half}") > 0) & (found.column(f"prompt_{half}") == 0)
        any_ = found.column(f"sequences_{half}") + found.column(f"prompt_{half}") > 0
        parts["context"].append((found.column(f"fullest_{half}") * found.system.groups)[keep])
        parts["sequences"].append(found.column(f"sequences_{half}")[keep])
        parts["pim_s"].append(found.column(f"pim_{half}_s")[keep])
        parts["tokens"].append((found.column(f"sequences_{half}")
                                + found.column(f"prompt_{half}"))[any_])
        parts["dense_s"].append(found.column(f"dense_{half}_s")[any_])
    return Steps(**{name: np.concatenate(arrays) for name, arrays in parts.items()})


def prediction_of(found: Run) -> Prediction:
    """Fitted to a run."""
    steps = steps_of(found)
    return fit(found.system.dense, steps.context, steps.sequences, steps.pim_s)


def predicted(runs: Runs, models: tuple[str, ...] = ("gpt-175b", "qwen2-72b")) -> list[Predicted]:
    """Errors on the run that was fitted to, and on others."""
    found = []
    for model in models:
        own: Prediction | None = None
        for trace, seed in (FITTED_TO, *HELD_OUT):
            served = runs.need(model, trace, "tier", seed=seed)
            steps = steps_of(served)
            fitted_to = own is None
            own = own or prediction_of(served)
            pim = np.abs(own.pim_s(steps.context, steps.sequences) / steps.pim_s - 1)
            dense = np.abs(own.dense_s(steps.tokens) / steps.dense_s - 1)
            found.append(Predicted(
                model=model, run=f"{trace}, seed {seed}", held_out=not fitted_to,
                pim=(float(pim.mean()), float(pim.max())),
                dense=(float(dense.mean()), float(dense.max()))))
    return found


def scheduler_group(bars: Bars, runs: Runs) -> Group:
    """GPT-175B with the scheduler and without, and without rank sets, by capacity."""
    model, trace = "gpt-175b", FITTED_TO[0]
    own = prediction_of(runs.need(model, trace, "tier", seed=FITTED_TO[1]))
    traffic = draw(trace, runs.requests, runs.seed)
    rows, words = [], []
    base = runs.need(model, trace, "tier", capacity=CAPS[0])
    for cap in CAPS:
        filled = runs.need(model, trace, "tier", capacity=cap)
        found = run(system("tier", load_shape(model), runs.technology, capacity=cap), traffic,
                    prediction=own)
        saved = 1 - found.step_s / filled.step_s
        rows.append(Bar(name=f"{cap:g} of the tier: time between tokens saved", ours=saved,
                        published=SHORTER if cap == CAPS[-1] else None, status="not comparable"))
        words.append(f"{cap:g} of the tier: throughput "
                     f"{filled.tokens_per_s / base.tokens_per_s:.2f} without, "
                     f"{found.tokens_per_s / base.tokens_per_s:.2f} with the scheduler; "
                     f"step {filled.step_s * 1e3:.0f} and {found.step_s * 1e3:.0f} ms; longest "
                     f"{filled.counts['longest_step_s'] * 1e3:,.0f} and "
                     f"{found.counts['longest_step_s'] * 1e3:,.0f} ms")
    for name in ("gpt-175b", "qwen2-72b"):
        whole, bare = (runs.need(name, trace, "tier", rank_sets=sets) for sets in (4, 1))
        rows.append(Bar(name=f"{TITLES[name]}: throughput without rank sets",
                        ours=bare.tokens_per_s / whole.tokens_per_s, status="derived"))
    words += [
        ("the publication saves 70.93 % at the largest of three capacities that it does not name; "
         "balanced, a step takes twice the dense layers, and those of the roofline (GPT-175B: "
         f"{2 * 96 * system('tier', load_shape(model), runs.technology).dense.block_s(8) * 1e3:.0f}"
         " ms a step) bound what can be saved"),
        ("sequences that do not fit into a balanced step wait: the time between their tokens is "
         "longer than a step, and the publication does not say how it counts that")]
    return Group(title="scheduler and rank sets switched off", bars=tuple(rows), most=0.10,
                 limited="none", words=tuple(words))
