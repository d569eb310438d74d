"""Benches of blocks: the design of each, and what the bench reads in each of its runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ouroboros.hw.array.array import ArrayUnit
from ouroboros.hw.array.tree import AdderTree
from ouroboros.hw.core.controller import Controller
from ouroboros.hw.core.egress import Egress
from ouroboros.hw.kv.manager import KvManager
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.tb.cim.macro_pair import pair_sources
from ouroboros.tb.core.controller_agent import few_slots
from ouroboros.tb.core.egress_agent import few_credits
from ouroboros.tb.core.ni_top import ni_sources
from ouroboros.tb.noc.bench_router import NOC
from ouroboros.tb.noc.router_agent import StoppingRouter

__all__ = ["BENCHES", "BlockBench"]

STALLS = ("0.0", "0.5", "0.2")
Env = dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockBench:
    """A bench that runs on one block, with sizes that take seconds."""

    name: str
    """Of the block, as on the command line."""
    top: str
    """Module that the bench drives."""
    sources: Callable[[], dict[str, str]]
    """Verilog by module."""
    module: str
    """Import path of the bench."""
    env: Env
    """What the bench reads, but for STALL."""
    rounds: int = 1
    """How often a mutant must pass all stalls; more where a run has one setting of many."""

    @property
    def runs(self) -> tuple[Env, ...]:
        """What the bench reads, run by run: without stalls, with many, with some."""
        return tuple(self.env | {"STALL": stall} for stall in self.rounds * STALLS)


def _defined(name: str, factory, params) -> dict[str, str]:
    library = Library()
    library.define(name, lambda: factory(library), params=params)
    return library.sources()


def _benches() -> dict[str, BlockBench]:
    tiny = load_machine("tiny")
    wide = replace(tiny, core=replace(tiny.core, residual_bits=24))
    found = (
        BlockBench(
            name="router", top="router", module="ouroboros.tb.noc.bench_router",
            sources=lambda: _defined("router", lambda _: StoppingRouter(NOC), NOC),
            env={"PACKETS": "120"}),
        BlockBench(
            name="kv_manager", top="kv_manager", module="ouroboros.tb.kv.bench_manager",
            sources=lambda: _defined("kv_manager", lambda _: KvManager(tiny), tiny),
            env={"MACHINE": "tiny", "COMMANDS": "480", "ROUND": "80"}),
        BlockBench(
            name="controller", top="controller", module="ouroboros.tb.core.bench_controller",
            sources=lambda: _defined("controller", lambda _: Controller(few_slots(tiny)), tiny),
            env={"MACHINE": "tiny", "ROUNDS": "4", "TOKENS": "12"}),
        BlockBench(
            name="network_interface", top="network_interface",
            module="ouroboros.tb.core.bench_ni", sources=lambda: ni_sources(tiny),
            env={"MACHINE": "tiny", "ROUNDS": "2"}),
        BlockBench(
            name="egress", top="egress", module="ouroboros.tb.core.bench_egress",
            sources=lambda: _defined("egress", lambda _: Egress(few_credits(tiny)),
                                     few_credits(tiny)),
            env={"MACHINE": "tiny", "ROUNDS": "24", "CYCLES": "120"}),
        BlockBench(
            name="sfu", top="sfu", module="ouroboros.tb.sfu.bench_sfu",
            sources=lambda: _defined("sfu", lambda _: Sfu(tiny), tiny),
            env={"MACHINE": "tiny", "RESIDUAL_BITS": "16", "CASES": "120"}),
        BlockBench(
            name="sfu_wide", top="sfu", module="ouroboros.tb.sfu.bench_sfu",
            sources=lambda: _defined("sfu", lambda _: Sfu(wide), wide),
            env={"MACHINE": "tiny", "RESIDUAL_BITS": "24", "CASES": "120"}),
        BlockBench(
            name="macro", top="macro_pair", module="ouroboros.tb.cim.bench_macro",
            sources=lambda: pair_sources(tiny), env={"MACHINE": "tiny", "COMMANDS": "40"}),
        BlockBench(
            name="array", top="array_unit", module="ouroboros.tb.array.bench_array",
            sources=lambda: _defined("array_unit", lambda library: ArrayUnit(tiny, library), tiny),
            env={"MACHINE": "tiny", "TOKENS": "30"}),
        BlockBench(
            name="tree", top="adder_tree", module="ouroboros.tb.array.bench_tree",
            sources=lambda: _defined("adder_tree", lambda _: AdderTree(tiny), tiny),
            env={"MACHINE": "tiny", "BEATS": "200"}))
    return {one.name: one for one in found}


BENCHES = _benches()
"""By name."""
