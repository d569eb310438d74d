"""``ouroboros calibrate``: cycles of leaf blocks, measured on RTL and held to their contracts.

Models count with ``hw.params.timing``; there is no second table of constants. This measures what
the contracts say on blocks of several sizes, the paper's among them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from ouroboros.hw.cim.macro import Macro
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.hw.params.timing.network import HOP_CYCLES
from ouroboros.hw.params.timing.sfu import PIPELINE_CYCLES, TRACK_CYCLES
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.sw.api.shared import OnSimulator
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.options import option
from ouroboros.tb.flow.build import build, run
from ouroboros.tb.noc.router_chain import RouterChain

__all__ = ["CalibrateOptions", "Calibrated", "Measured", "calibrate", "measure", "measure_blocks"]

ROUTERS = 4
TOML = """name = "{name}"
cim  = {{ rows = {rows}, outputs = {outputs}, active_rows = {active_rows} }}
core = {{ macros = 1, lanes = {lanes}, buffer_words = 64, param_words = 16 }}
noc  = {{ flit_bits = {flit_bits}, vcs = {vcs}, class1_vcs = 0, class2_vcs = 0 }}
kv   = {{ sequences = 2, heads = 1, blocks = 1 }}
mesh = {{ width = 1, height = 1, die_width = 1, die_height = 1 }}
"""
BASE = {"rows": 64, "outputs": 16, "active_rows": 8, "lanes": 4, "flit_bits": 128, "vcs": 1}


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement beside its contract."""

    features: dict[str, int]
    """What the cycles depend on."""
    cycles: int
    """On the RTL."""
    contract: int
    """By ``hw.params.timing``."""


def _macro(machine: Machine, groups: int) -> int:
    return machine.cim.command_cycles(groups) + machine.cim.fill_cycles


def _sfu(machine: Machine, beats: int, reads_c: int, writes_c: int) -> int:
    return beats + PIPELINE_CYCLES + reads_c + TRACK_CYCLES * writes_c


def _router(machine: Machine, routers: int, payload_flits: int) -> int:
    return HOP_CYCLES * routers + payload_flits


@dataclass(frozen=True)
class Block:
    """What is measured of one kind of block."""

    top: str
    """Module name, and test of ``tb.flow.bench_calibrate``."""
    component: Callable[[Machine], object]
    """The top."""
    contract: Callable[..., int]
    """Cycles that the machine's contract gives for a sample's features."""
    features: tuple[str, ...]
    """Their names, in the order of ``contract``."""
    sets: Mapping[str, Mapping[str, int]]
    """Parameter sets by name."""


BLOCKS = (
    Block("macro", Macro, _macro, ("row_groups",),
          {"64x16/8": {},
           "256x32/8": {"rows": 256, "outputs": 32},
           "128x64/16": {"rows": 128, "outputs": 64, "active_rows": 16},
           "1024x128/32": {"rows": 1024, "outputs": 128, "active_rows": 32, "lanes": 16,
                           "flit_bits": 256}}),
    Block("sfu", Sfu, _sfu, ("beats", "reads_c", "writes_c"),
          {"4 lanes": {}, "8 lanes": {"lanes": 8, "outputs": 32},
           "16 lanes": {"lanes": 16, "outputs": 64},
           "32 lanes": {"lanes": 32, "outputs": 128, "rows": 256}}),
    Block("router", lambda machine: RouterChain(machine.noc, ROUTERS), _router,
          ("routers", "payload_flits"),
          {"128 bit, 2 vc": {}, "128 bit, 3 vc": {"vcs": 2},
           "256 bit, 2 vc": {"flit_bits": 256, "lanes": 8, "outputs": 32},
           "512 bit, 2 vc": {"flit_bits": 512, "lanes": 16, "outputs": 64}}),
)


def measure(block: Block, name: str, on: str) -> list[Measured]:
    """Build one block with one set of parameters and time it.

    Raises
    ------
    SimulationError
        If the block does not build or run.
    """
    folder = cache_folder("calibrate")
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{block.top}-" + "".join(c if c.isalnum() else "_" for c in name)
    path, out = folder / f"{stem}.toml", folder / f"{stem}.json"
    path.write_text(TOML.format(name=stem, **{**BASE, **block.sets[name]}))
    machine = load_machine(str(path))
    library = Library()
    library.define(block.top, lambda: block.component(machine), params=machine)
    run(build(block.top, library.sources(), sim=on),
        test_module="ouroboros.tb.flow.bench_calibrate", test_filter=f"{block.top}$",
        env={"MACHINE": str(path), "OUT": str(out)})
    return [Measured(dict(zip(block.features, features, strict=True)), cycles,
                     block.contract(machine, *features))
            for features, cycles in json.loads(out.read_text())]


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(OnSimulator):
    """Blocks, and what runs them."""

    blocks: tuple[str, ...] = option((), flag="--block", choices=lambda: [b.top for b in BLOCKS])
    """Only these; may be repeated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """Measurements beside their contracts."""

    samples: Mapping[str, Mapping[str, Sequence[Measured]]]
    """By block and set of parameters."""

    @property
    def kept(self) -> bool:
        """Whether all blocks keep their contracts."""
        return not any(worst(some) for sets in self.samples.values() for some in sets.values())

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {top: {name: [asdict(one) for one in some] for name, some in sets.items()}
                for top, sets in self.samples.items()}


def measure_blocks(options: CalibrateOptions,
                   begins: Callable[[str, str], None] = lambda top, name: None,
                   ends: Callable[[str, str, Sequence[Measured]], None] = (
                       lambda top, name, found: None)) -> Calibrated:
    """Measure all sets of parameters of the blocks.

    Parameters
    ----------
    begins, ends : callable, optional
        Told of block and set before and after each, then with what was found.

    Raises
    ------
    SimulationError
        If a block does not build or run.
    """
    found: dict[str, dict[str, list[Measured]]] = {}
    for block in BLOCKS:
        for name in block.sets if not options.blocks or block.top in options.blocks else ():
            begins(block.top, name)
            some = found.setdefault(block.top, {})[name] = measure(block, name, options.on)
            ends(block.top, name, some)
    return Calibrated(samples=found)


@command(CalibrateOptions)
def calibrate(options: CalibrateOptions, output: Output) -> dict[str, Any]:
    """Measure macro, SFU and router on RTL, and hold them to the cycles that models count with.

    Exit code 1 if a block takes other cycles than its contract.
    """
    found = measure_blocks(options, lambda top, name: click.echo(f"{top} {name} ...", err=True),
                           lambda top, name, some: output.say(report(top, name, some)))
    output.exit_code = 0 if found.kept else 1
    return found.as_dict()


def worst(samples: Sequence[Measured]) -> int:
    """Largest difference from the contract, in cycles."""
    return max(abs(one.cycles - one.contract) for one in samples)


def report(top: str, name: str, samples: Sequence[Measured]) -> str:
    """What was found, for people."""
    low, high = (pick(one.cycles for one in samples) for pick in (min, max))
    return (f"{top} {name}: {len(samples)} samples of {low} to {high} cycles, "
            f"off by {worst(samples)} from the contract at most")
