"""Area, clock and energy of a tile from its mapped blocks, beside floorplan and paper."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.floorplan.plan import plan_floor
from ouroboros.floorplan.rules import load_rules
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.quantities import CORNERS, at
from ouroboros.sw.wafer.core_clock import core_sizes
from ouroboros.tb.ppa.blocks import Block, blocks_of
from ouroboros.tb.ppa.kept import map_and_time
from ouroboros.tb.ppa.library import FLIP_FLOP, CellLibrary, PpaError, find_library
from ouroboros.tb.ppa.scaling import Scaling, load_scaling
from ouroboros.tb.ppa.synthesis import Mapped, Memory
from ouroboros.tb.ppa.timing import Timing

__all__ = ["BlockReport", "Report", "measure"]

PAPER_CORE_MM2 = 3.32
"""215 x 215 mm / 13,923 cores, arXiv 2603.02737."""
MULTIPLEXER = "MUX2X1"
UM2_PER_MM2, BITS_PER_MB = 1e6, 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockReport:
    """A block of a tile in both processes."""

    block: Block
    """What was mapped."""
    mapped: Mapped
    """Its cells."""
    timing: Timing
    """Its slowest path."""

    def logic_mm2(self, library: CellLibrary, scaling: Scaling, corner: str) -> float:
        """Cells of one instance, with memories that are made of flip-flops."""
        held = sum(_held_um2(memory, library) for memory in self.mapped.memories)
        um2 = self.mapped.area_um2(library) + held
        fill = at(scaling.utilisation, {"low": "high", "mid": "mid", "high": "low"}[corner])
        return self.block.scale * um2 * at(scaling.area, corner) / fill / UM2_PER_MM2

    def memory_mm2(self, scaling: Scaling, corner: str) -> float:
        """SRAM and tables of one instance."""
        density = at(scaling.memory, {"low": "high", "mid": "mid", "high": "low"}[corner])
        more = at(scaling.memory_port, corner)
        bits = sum(memory.size_bits * (1 + more * (max(memory.reads, memory.writes) - 1))
                   for memory in self.mapped.memories if _is_sram(memory))
        return self.block.scale * bits / BITS_PER_MB / density

    @property
    def memory_bits(self) -> int:
        """Of one instance, whatever they are made of."""
        return round(self.block.scale * sum(one.size_bits for one in self.mapped.memories))


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The blocks of a machine's tile."""

    machine: Machine
    """Whose."""
    library: CellLibrary
    """Cells."""
    scaling: Scaling
    """To the machine's process."""
    blocks: tuple[BlockReport, ...]
    """In the order of modules."""
    whole: bool
    """All blocks of a tile are among them."""

    @property
    def slowest(self) -> BlockReport:
        """The block with the longest path."""
        return max(self.blocks, key=lambda one: one.timing.path_ns)

    def clock_ghz(self, corner: str, block: BlockReport | None = None) -> float:
        """Clock that a block, or the slowest, reaches: ``low`` has the slowest cells."""
        path = (block or self.slowest).timing.path_ns
        if not path:
            return float("inf")
        other = {"low": "high", "mid": "mid", "high": "low"}[corner]
        return 1 / (path * at(self.scaling.delay, other) * at(self.scaling.margin, other))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        blocks = [self._block(one) for one in self.blocks]
        found: dict[str, Any] = {
            "machine": self.machine.name, "machine_digest": digest_of(self.machine),
            "core": core_sizes(self.machine), "library": self.library.path.name,
            "scaling": self.scaling.as_dict(),
            "blocks": blocks, "critical": {
                "block": self.slowest.block.name, "from": self.slowest.timing.start,
                "to": self.slowest.timing.end, "cells": self.slowest.timing.stages,
                "library_ns": self.slowest.timing.path_ns},
            "clock_ghz": {corner: self.clock_ghz(corner) for corner in CORNERS},
            "whole": self.whole}
        if self.whole:
            totals = {part: {corner: sum(one["count"] * one[part][corner] for one in blocks)
                             for corner in CORNERS} for part in ("logic_mm2", "memory_mm2")}
            found |= {**totals, "core_mm2": {corner: sum(part[corner] for part in totals.values())
                                             for corner in CORNERS},
                      "logic_over_memory": (totals["logic_mm2"]["mid"]
                                            / totals["memory_mm2"]["mid"]),
                      "paper_core_mm2": PAPER_CORE_MM2, "floorplan": self._floorplan()}
        return found

    def _block(self, one: BlockReport) -> dict[str, Any]:
        scaling = self.scaling
        return {
            "name": one.block.name, "count": one.block.count, "scale": one.block.scale,
            "cells": round(one.block.scale * one.mapped.count),
            "flip_flops": round(one.block.scale * one.mapped.flip_flops),
            "memory_bits": one.memory_bits,
            "logic_mm2": {corner: one.logic_mm2(self.library, scaling, corner)
                          for corner in CORNERS},
            "memory_mm2": {corner: one.memory_mm2(scaling, corner) for corner in CORNERS},
            "library_ns": one.timing.path_ns, "from": one.timing.start, "to": one.timing.end,
            "clock_ghz": {corner: self.clock_ghz(corner, one) if one.timing.path_ns else None
                          for corner in CORNERS},
            "pj_per_cycle": {corner: (one.block.scale * one.timing.energy_pj
                                      * at(scaling.energy, corner)
                                      * at(scaling.activity, corner) / scaling.activity.mid)
                             for corner in CORNERS}}

    def _floorplan(self) -> dict[str, float] | None:
        """Areas of the floorplan's blocks; None for a machine that is not the paper's."""
        paper = load_machine("wafer")
        if (self.machine.cim, self.machine.core, self.machine.noc) != (
                paper.cim, paper.core, paper.noc):
            return None
        core = plan_floor(paper, load_rules(None)).core
        return {"macros": sum(macro.mm2 for macro in core.macros),
                **{block.name: block.rect.mm2 for block in core.blocks}}


def measure(machine: Machine, names: Sequence[str] = (), *, liberty: Path | None = None,
            limit_s: float = 600.0,
            progress: Callable[[str, int, int], None] = lambda *step: None) -> Report:
    """Map blocks of a machine, and time them.

    Parameters
    ----------
    names : Sequence[str]
        Blocks; all without any.
    limit_s : float
        Most seconds of yosys for a block.

    Raises
    ------
    PpaError
        If a block does not exist, or library or programs are missing.
    """
    library, scaling = find_library(liberty), load_scaling()
    known = blocks_of(machine)
    for name in names:
        if name not in known:
            raise PpaError(f"block of machine {machine.name} must be one of {', '.join(known)}, "
                           f"not {name!r}")
    chosen = [known[name] for name in names or known]
    found = []
    # Of the library: scaled back to nanoseconds of the machine's process, it is what it is there.
    memory_ns = scaling.memory_ns.mid / scaling.delay.mid
    for n, block in enumerate(chosen):
        progress(f"Mapping {block.name}", n, len(chosen))
        mapped, timing = map_and_time(block, library, scaling.activity.mid, memory_ns, limit_s)
        found.append(BlockReport(block=block, mapped=mapped, timing=timing))
    progress("Mapping blocks", len(chosen), len(chosen))
    return Report(machine=machine, library=library, scaling=scaling, blocks=tuple(found),
                  whole=len(found) == len(known))


def _is_sram(memory: Memory) -> bool:
    return memory.clocked or not memory.writes


def _held_um2(memory: Memory, library: CellLibrary) -> float:
    """A memory that is read within a cycle: flip-flops with an enable, a multiplexer a port."""
    if _is_sram(memory):
        return 0.0
    area = library.area_um2
    return memory.size_bits * (area[FLIP_FLOP] + (1 + memory.reads) * area[MULTIPLEXER])
