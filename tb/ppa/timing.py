"""The slowest path of a mapped block, and its energy a cycle, by OpenSTA."""

import re
from dataclasses import dataclass
from pathlib import Path

from ouroboros.tb.ppa.library import CellLibrary, PpaError, program, said
from ouroboros.tb.ppa.synthesis import NETLIST, Mapped

__all__ = ["Timing", "analyse", "read_path"]

PERIOD_NS = 10.0
"""Any: a path's length does not depend on it, and energy is power times it."""
LIMIT_S = 300.0
HELD_NS, LEVEL_NS = 0.35, 0.25
"""Read of a memory of flip-flops: one of them, and a level of multiplexers for each address bit; as
these cells take on the paths of other blocks, in the library's process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """A block in the library's process."""

    path_ns: float
    """From a register to a register, setup included; 0 if there is no path."""
    start: str
    """Register or port where the slowest path begins, by its net."""
    end: str
    """Where it ends."""
    stages: int
    """Cells on it."""
    energy_pj: float
    """A cycle at the activity that was given, memories left out."""


def analyse(mapped: Mapped, library: CellLibrary, activity: float, memory_ns: float,
            folder: Path) -> Timing:
    """Time a block: from registers, ports and memories to registers, ports and memories.

    Parameters
    ----------
    activity : float
        Changes of a net in a cycle.
    memory_ns : float
        From the clock to what a memory reads, in the library's process.
    folder : Path
        Where the block was mapped.

    Raises
    ------
    PpaError
        If OpenSTA is missing or fails.
    """
    text = (folder / NETLIST).read_text()
    clocks = [name for name in ("clk",) if re.search(rf"^  input {name} ?;", text, re.MULTILINE)]
    if not clocks:
        raise PpaError(f"block {mapped.top} must have an input clk")
    lines = [f"read_liberty {library.path}", f"read_verilog {NETLIST}",
             f"link_design {mapped.top}",
             f"create_clock -name clk -period {PERIOD_NS} [get_ports clk]",
             _delayed("*", 0.0),
             ("foreach port [all_outputs] { if {![string match {*_CLK*} [get_property $port "
              "full_name]]} { set_output_delay 0 -clock clk $port } }")]
    for memory in mapped.memories:
        access = memory_ns if memory.clocked else HELD_NS + LEVEL_NS * (
            memory.words - 1).bit_length()
        lines.append(_delayed(f"*{memory.name}.RD_DATA*", access))
    lines += ["report_checks -path_delay max -format full -digits 4",
              f"set_power_activity -global -activity {activity:g}",
              "report_power -digits 8", "exit"]
    (folder / "sta.tcl").write_text("\n".join(lines) + "\n")
    found = said([program("sta"), "-no_splash", "-exit", "sta.tcl"], folder, LIMIT_S)
    watts = re.search(r"^Total(?:\s+\S+){3}\s+(\S+)", found, re.MULTILINE)
    if watts is None:
        raise PpaError(f"sta must report the power of {mapped.top}: {found[-300:]}")
    path_ns, start, end, stages = read_path(found, text)
    return Timing(path_ns=path_ns, start=start, end=end, stages=stages,
                  energy_pj=float(watts[1]) * PERIOD_NS * 1e3)


def _delayed(names: str, delay_ns: float) -> str:
    """Tcl that lets inputs of these names come so late."""
    # Names have characters that get_ports takes for patterns.
    pattern = names.replace("[", r"\[").replace("$", r"\$")
    return ("foreach port [all_inputs] { set name [get_property $port full_name]; "
            f"if {{$name ne {{clk}} && [string match {{{pattern}}} $name]}} "
            f"{{ set_input_delay {delay_ns:g} -clock clk $port }} }}")


def read_path(report: str, netlist: str) -> tuple[float, str, str, int]:
    """Nanoseconds, start, end and cells of the path that OpenSTA reports."""
    start = re.search(r"^Startpoint: (\S+)", report, re.MULTILINE)
    end = re.search(r"^Endpoint: (\S+)", report, re.MULTILINE)
    if start is None or end is None:
        return 0.0, "", "", 0
    arrival = re.findall(r"^\s*(-?[\d.]+)\s+data arrival time", report, re.MULTILINE)
    setup = re.search(r"^\s*(-?[\d.]+)\s+-?[\d.]+\s+library setup time", report, re.MULTILINE)
    cells = re.findall(r"^\s*-?[\d.]+\s+-?[\d.]+ [v^] \S+/Y\w* \(", report, re.MULTILINE)
    late = float(arrival[0]) - (float(setup[1]) if setup else 0.0)
    return late, net_of(start[1], netlist), net_of(end[1], netlist), len(cells)


def net_of(cell: str, netlist: str) -> str:
    """The net that a register drives, which has the name of the Verilog; a port stays itself."""
    found = re.search(rf"^  \S+ {re.escape(cell)} \((.*?)\);", netlist, re.MULTILINE | re.DOTALL)
    driven = found and re.search(r"\.Q\(\\?([^)]*?)\s*\)", found[1])
    return driven[1] if driven else cell.replace("\\", "")
