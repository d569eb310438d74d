"""The blocks of a tile that are mapped one by one, and how often a tile has each."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from ouroboros.hw.cim.macro import Macro
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import Machine
from ouroboros.tb.emit.blackbox import reachable, stub
from ouroboros.tb.emit.netlist import read_module
from ouroboros.tb.flow.rtl import emit_die

__all__ = ["Block", "blocks_of"]

OPENED = ("tile", "tile_tile", "core", "core_array_unit")
"""Modules whose children are blocks; what lies beside these is a block of its own."""
GATE = "clock_gate"
OUTPUTS = 16
"""Outputs of the macro that is mapped in place of one with more: they are alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A part of a tile."""

    name: str
    """Module."""
    count: int
    """In a tile."""
    sources: dict[str, str]
    """Verilog by module; other blocks in it are empty."""
    scale: float = 1.0
    """Area, bits and energy over those of what is mapped."""


def blocks_of(machine: Machine) -> dict[str, Block]:
    """Blocks by name, in the order of their modules."""
    texts = emit_die(machine)
    modules = {name: read_module(text) for name, text in texts.items()}
    counts: dict[str, int] = {}
    open_ = ["tile"]
    while open_:
        name = open_.pop()
        counts[name] = counts.get(name, 0) + 1
        if name in OPENED:
            open_ += [kind for kind, _ in modules[name].placed.values()]
    del counts[GATE]
    found = {}
    for name in [name for name in texts if name in counts]:
        if name == "macro":
            found[name] = _macro(machine, counts[name])
            continue
        own = {name: texts[name]}
        for inner in reachable(modules, name) - {name}:
            if name not in OPENED:
                own[inner] = texts[inner]
            elif inner in {kind for kind, _ in modules[name].placed.values()}:
                own[inner] = texts[inner] if inner == GATE else stub(texts[inner])
        found[name] = Block(name=name, count=counts[name],
                            sources={one: own[one] for one in texts if one in own})
    return found


def _macro(machine: Machine, count: int) -> Block:
    """A macro of few outputs: its adders, which are nearly all of it, are one set an output."""
    outputs = machine.cim.outputs
    few = min(outputs, max(OUTPUTS, machine.core.lanes))
    small = dataclasses.replace(machine, cim=dataclasses.replace(
        machine.cim, outputs=few,
        k_write_rows_per_cycle=min(few, machine.cim.k_write_rows_per_cycle)))
    library = Library()
    library.define("macro", lambda: Macro(small), params=small)
    sources: Mapping[str, str] = library.sources()
    return Block(name="macro", count=count, sources=dict(sources), scale=outputs / few)
