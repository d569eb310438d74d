"""``ouroboros calibrate``: cycles of leaf blocks, measured on RTL, for the performance models."""

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from ouroboros.hw.cim.macro import Macro
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.cli.options import OutputFile, json_option, write_json
from ouroboros.sw.perf.calibration import (
    CALIBRATION,
    MARK,
    Constant,
    Fit,
    Sample,
    fit,
    write_calibration,
)
from ouroboros.tb.flow.build import ROOT, build, run
from ouroboros.tb.noc.router_chain import RouterChain
from ouroboros.tb.sfu.top import SfuTop

__all__ = ["calibrate"]

ROUTERS = 4
TOML = """name = "{name}"
cim  = {{ rows = {rows}, outputs = {outputs}, active_rows = {active_rows} }}
core = {{ macros = 1, lanes = {lanes}, buffer_words = 64, param_words = 16 }}
noc  = {{ flit_bits = {flit_bits}, vcs = {vcs}, class1_vcs = 0, class2_vcs = 0 }}
kv   = {{ sequences = 2, heads = 1, blocks = 1 }}
mesh = {{ width = 1, height = 1, die_width = 1, die_height = 1 }}
"""
BASE = {"rows": 64, "outputs": 16, "active_rows": 8, "lanes": 4, "flit_bits": 128, "vcs": 1}


@dataclass(frozen=True)
class Block:
    """What is measured of one kind of block."""

    top: str
    """Module name, and test of ``tb.flow.bench_calibrate``."""
    component: Callable[[Machine], object]
    """The top."""
    sets: Mapping[str, Mapping[str, int]]
    """Parameter sets of the fit, by name."""
    held_out: Mapping[str, Mapping[str, int]]
    """The one that is foretold."""
    constants: tuple[tuple[str, str], ...]
    """Name and unit of each coefficient."""


BLOCKS = (
    Block("macro", Macro,
          {"64x16/8": {},
           "256x32/8": {"rows": 256, "outputs": 32},
           "128x64/16": {"rows": 128, "outputs": 64, "active_rows": 16}},
          {"1024x128/32": {"rows": 1024, "outputs": 128, "active_rows": 32, "lanes": 16,
                           "flit_bits": 256}},
          (("cycles_per_row_group", "cycles/row group"), ("fixed_cycles", "cycles/command"))),
    Block("sfu", SfuTop,
          {"4 lanes": {}, "8 lanes": {"lanes": 8, "outputs": 32},
           "32 lanes": {"lanes": 32, "outputs": 128, "rows": 256}},
          {"16 lanes": {"lanes": 16, "outputs": 64}},
          (("cycles_per_beat", "cycles/beat"), ("read_c_cycles", "cycles/instruction"),
           ("write_c_cycles", "cycles/instruction"), ("fixed_cycles", "cycles/instruction"))),
    Block("router", lambda machine: RouterChain(machine.noc, ROUTERS),
          {"128 bit, 2 vc": {}, "128 bit, 3 vc": {"vcs": 2},
           "512 bit, 2 vc": {"flit_bits": 512, "lanes": 16, "outputs": 64}},
          {"256 bit, 2 vc": {"flit_bits": 256, "lanes": 8, "outputs": 32}},
          (("cycles_per_hop", "cycles/router"), ("cycles_per_flit", "cycles/payload flit"))),
)


def measure(block: Block, name: str, changes: Mapping[str, int], sim: str) -> list[Sample]:
    """Build one block with one set of parameters and time it."""
    folder = ROOT / "build" / "calibrate"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{block.top}-" + "".join(c if c.isalnum() else "_" for c in name)
    path, out = folder / f"{stem}.toml", folder / f"{stem}.json"
    path.write_text(TOML.format(name=stem, **{**BASE, **changes}))
    machine = load_machine(str(path))
    library = Library()
    library.define(block.top, lambda: block.component(machine), params=machine)
    run(build(block.top, library.sources(), sim=sim),
        test_module="ouroboros.tb.flow.bench_calibrate", test_filter=f"{block.top}$",
        env={"MACHINE": str(path), "OUT": str(out)})
    return [Sample(tuple(features), cycles) for features, cycles in json.loads(out.read_text())]


@click.command()
@click.option("--sim", default="verilator", show_default=True,
              type=click.Choice(["verilator", "icarus"]), help="Simulator.")
@click.option("--block", "names", multiple=True, type=click.Choice([b.top for b in BLOCKS]),
              help="Only these; may be repeated. The file is written only if all are measured.")
@click.option("--out", type=OutputFile(MARK), default=CALIBRATION,
              show_default=True, help="Calibration file.")
@json_option
def calibrate(sim: str, names: tuple[str, ...], out: Path, json_path: Path | None) -> None:
    """Measure macro, SFU and router on RTL, fit their cycles, and foretell a set held out."""
    today = datetime.date.today().isoformat()
    groups: dict[str, dict[str, Constant]] = {}
    for block in BLOCKS:
        if names and block.top not in names:
            continue
        samples: list[Sample] = []
        for name, changes in block.sets.items():
            click.echo(f"{block.top} {name} ...", err=True)
            samples += measure(block, name, changes, sim)
        (held_name, changes), = block.held_out.items()
        click.echo(f"{block.top} {held_name} (held out) ...", err=True)
        held_out = measure(block, held_name, changes, sim)
        found = fit(samples, held_out)
        groups[block.top] = constants(block, found, held_name, len(samples), len(held_out), today)
        click.echo(report(block, found, held_name, samples, held_out))
    write_json(json_path, {group: {name: asdict(constant) for name, constant in found.items()}
                           for group, found in groups.items()})
    if not names:
        write_calibration(groups, out)
        click.echo(f"written: {out}")


def constants(block: Block, found: Fit, held_out: str, fitted: int, held: int,
              today: str) -> dict[str, Constant]:
    """Entries of the calibration file."""
    source = (f"ouroboros calibrate: {fitted} samples at {', '.join(block.sets)}; "
              f"held out {held_out}: {held} samples, error at most "
              f"{found.held_out_percent:.2f} %")
    return {name: Constant(value, unit, source, today)
            for (name, unit), value in zip(block.constants, found.coefficients, strict=True)}


def report(block: Block, found: Fit, held_out: str, samples: list[Sample],
           held: list[Sample]) -> str:
    """What was found, for people."""
    values = ", ".join(f"{name} {value:.3f}" for (name, _), value in
                       zip(block.constants, found.coefficients, strict=True))
    return (f"{block.top}: {values}; error at most {found.fitted_percent:.2f} % on {len(samples)} "
            f"samples, {found.held_out_percent:.2f} % on {len(held)} of {held_out}, held out")
