"""Encoders, whose attention waits for the whole input: what waiting costs, what copies bring."""

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
from ouroboros.sw.experiments.wafer.measure import Place, tokens_per_s
from ouroboros.sw.lib.quantities import CORNERS
from ouroboros.sw.wafer.clocks import CAPS_W, clocks

__all__ = ["EXPERIMENT"]

MODEL, DGX = "bert-large", "dgx-a100"
INPUTS = (64, 128, 256, 384, 512)
"""Tokens of an input; the model has 512 positions."""
LONG = INPUTS[-1]
WAITING = (1, 2, 3)
REQUESTS, BATCHED = 3000, 24_000


def places(_: Sequence[Path]) -> Mapping[str, Place]:
    """Lengths, here and on the DGX; of the longest one copy, and with other room to wait."""
    found = {}
    for length in INPUTS:
        found[f"wafer {length}"] = Place(model=MODEL, mix=f"{length}:1", requests=REQUESTS)
        found[f"{DGX} {length}"] = Place(system=DGX, model=MODEL, mix=f"{length}:1",
                                         requests=BATCHED)
    for waiting in WAITING:
        found[f"one copy, {waiting} waiting"] = Place(
            model=MODEL, mix=f"{LONG}:1", requests=300, assumptions=(
                ("encoder_copies", 1.0), ("encoder_inputs_waiting", float(waiting))))
    return found


def find(figures: Figures) -> Finding:
    """Gains by length, clock and power; what waiting costs."""
    rows = []
    curves = {one.mid: list[float]() for one in clocks().values()}
    for length in INPUTS:
        ours = figures[f"wafer {length}"]
        rate = float(figures[f"{DGX} {length}"]["output_tokens_per_s"])
        for clock, gains in curves.items():
            gains.append(tokens_per_s(ours, clock_ghz=clock) / rate)
            rows.append(Row(
                what=f"{MODEL}, inputs of {length}: inputs/s over DGX at {clock:g} GHz",
                paper=None, ours=gains[-1], form=".1f",
                why=f"{ours['copies']} copies, pipeline {ours['pipeline_share']:.0%} full; terms: "
                    "clock_ghz, encoder_copies"))
    ours, theirs = figures[f"wafer {LONG}"], figures[f"{DGX} {LONG}"]
    for corner in CORNERS:
        rate = tokens_per_s(ours, cap_w=CAPS_W[0], corner=corner)
        each = ours["energy"][corner]
        joules = each["dynamic_per_output"] + each["leakage_w"] / rate
        rows.append(Row(
            what=f"{MODEL}, inputs of {LONG}: inputs/s over DGX within {CAPS_W[0] / 1e3:g} kW, "
                 f"{corner} energies", paper=None, form=".1f",
            ours=rate / float(theirs["output_tokens_per_s"]),
            why=f"{1e3 * joules:.0f} mJ an input, DGX "
                f"{1e3 * float(theirs['joules_per_output'][0][1]):.0f} at full power"))
    for waiting in WAITING:
        one = figures[f"one copy, {waiting} waiting"]
        rows.append(Row(
            what=f"one copy, room for {waiting} inputs to wait: inputs/s at 1 GHz", paper=None,
            ours=float(one["output_tokens_per_s"]), form=",.0f",
            why=f"pipeline {one['pipeline_share']:.0%} full; term: encoder_inputs_waiting"))
    return Finding(rows=tuple(rows), picture=Picture(
        title=f"{MODEL}: inputs/s over DGX A100", x=tuple(map(str, INPUTS)),
        x_title="tokens of an input", y_title="gain", lines=True,
        curves=tuple(Curve(name=f"{clock:g} GHz", y=tuple(gains))
                     for clock, gains in curves.items())),
        words="An encoder is bound by its slowest core and by how many copies fit, not by room for "
              "KV, nor for what waits: tokens of the next input come in as those of one attend.")


EXPERIMENT = Experiment(
    name="encoders", title="Encoders", places=places, find=find,
    about="Every input is there from the beginning and has one result. The DGX's constants are "
          "fitted to decoders: no encoder is held against a published point.")
