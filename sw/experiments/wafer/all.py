"""Every experiment by name."""

from ouroboros.sw.experiments.wafer import (
    ablation,
    encoders,
    kv_threshold,
    one_key,
    paper,
    traces,
)
from ouroboros.sw.experiments.wafer.experiment import Experiment

__all__ = ["ALL"]

ALL: dict[str, Experiment] = {one.name: one for one in (
    paper.EXPERIMENT, ablation.EXPERIMENT, kv_threshold.EXPERIMENT, *one_key.EXPERIMENTS,
    encoders.EXPERIMENT, traces.EXPERIMENT)}
