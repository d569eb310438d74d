"""``ouroboros ppa``: area, clock and energy of a machine's blocks in a real cell library."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import machine_names
from ouroboros.sw.api.shared import OnMachine
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.tables import table
from ouroboros.sw.cli.watch import Watch
from ouroboros.sw.lib.options import option
from ouroboros.sw.lib.quantities import CORNERS
from ouroboros.tb.ppa.report import measure

__all__ = ["PpaOptions", "ppa"]


@dataclass(frozen=True, kw_only=True)
class PpaOptions(OnMachine):
    """A machine, its blocks, and a library."""

    machine: str = option("die", names=machine_names, metavar="FILE.toml", placed=True)
    """Shipped machine or path of a TOML file."""
    blocks: tuple[str, ...] = option((), flag="--block", metavar="NAME")
    """A block, by its module's name; may be repeated; all blocks of a tile by default."""
    corner: str = option("mid", choices=lambda: CORNERS)
    """Of the factors to the machine's process, for the table of blocks; the file holds all."""
    liberty: Path | None = option(None)
    """Another library with the cells of the default one."""
    limit: int = option(1800, metavar="SECONDS", least=1)
    """Most seconds of yosys for a block."""


@command(PpaOptions)
def ppa(options: PpaOptions, output: Output) -> dict[str, Any]:
    """Map a machine's blocks to a cell library; area, critical path and energy, scaled to 7 nm.

    yosys maps to the 180 nm library of Debian's package qflow-tech-osu018, OpenSTA times it. SRAM
    is counted in bits. A path that leaves one block and ends in another is seen in two parts, and
    so is one through a memory of flip-flops.
    """
    with Watch() as watch:
        report = measure(load_machine(options.machine), options.blocks, liberty=options.liberty,
                         limit_s=options.limit, progress=watch.progress)
    found = report.as_dict()
    output.keep(found)
    output.show(_blocks(found, options.corner))
    critical, clock = found["critical"], found["clock_ghz"]
    output.say(f"Slowest: {critical['block']}, from {critical['from']} to {critical['to']}, "
               f"{critical['cells']} cells, {critical['library_ns']:.2f} ns at 180 nm; clock at "
               f"7 nm {clock['low']:.2f}, {clock['mid']:.2f}, {clock['high']:.2f} GHz")
    if found["whole"]:
        core = found["core_mm2"]
        output.say(f"Core: {core['mid']:.2f} mm2 ({core['low']:.2f} to {core['high']:.2f}), logic "
                   f"over memory {found['logic_over_memory']:.2f}; paper's all-in "
                   f"{found['paper_core_mm2']} mm2")
    return found


def _blocks(found: dict[str, Any], corner: str) -> Table:
    shown = table("block", "count", "cells", "flip-\nflops", "memory\nbits", "logic,\nmm2",
                  "memory,\nmm2", "path,\nns", "clock,\nGHz", "pJ a\ncycle", right=range(1, 10),
                  title=f"Blocks of machine {found['machine']}, one instance, at 7 nm, {corner}; "
                        "path at 180 nm")
    for one in found["blocks"]:
        clock = one["clock_ghz"][corner]
        shown.add_row(one["name"], str(one["count"]), f"{one['cells']:,}",
                      f"{one['flip_flops']:,}", f"{one['memory_bits']:,}",
                      f"{one['logic_mm2'][corner]:.5f}", f"{one['memory_mm2'][corner]:.5f}",
                      f"{one['library_ns']:.2f}", "" if clock is None else f"{clock:.2f}",
                      f"{one['pj_per_cycle'][corner]:.3f}")
    return shown
