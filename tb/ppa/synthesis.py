"""A block mapped to cells; its memories become ports, and are counted in bits."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ouroboros.tb.ppa.library import FLIP_FLOP, INVERTER, LATCH, CellLibrary, program, said

__all__ = ["ABC", "NETLIST", "Mapped", "Memory", "map_block", "read_cells", "read_memories"]

NETLIST = "mapped.v"
DELAY_PS = 2000
"""What abc sizes cells for; less than any block reaches in this library."""
ABC = ("strash", "dc2", "map -B 0.9", "topo", "buffer -c -N 12", "topo", f"upsize -D {DELAY_PS}",
       f"dnsize -D {DELAY_PS}")
"""Quick, and with buffers: a net of a thousand loads without them is slower than all the rest."""
CONSTRAINTS = "set_driving_cell INVX4\nset_load 0.03\n"
LATCHES = f"""(* techmap_celltype = "$_DLATCH_P_" *)
module high(input E, D, output Q);
  {LATCH} _TECHMAP_REPLACE_ (.CLK(E), .D(D), .Q(Q));
endmodule
(* techmap_celltype = "$_DLATCH_N_" *)
module low(input E, D, output Q);
  wire n;
  {INVERTER} inverter (.A(E), .Y(n));
  {LATCH} _TECHMAP_REPLACE_ (.CLK(n), .D(D), .Q(Q));
endmodule
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """A memory of a block."""

    name: str
    """In the flattened block."""
    words: int
    """Depth."""
    bits: int
    """Of a word."""
    reads: int
    """Read ports."""
    writes: int
    """Write ports; 0: a table of constants."""
    clocked: bool
    """Reads are registered; else it is made of flip-flops."""

    @property
    def size_bits(self) -> int:
        """All its bits."""
        return self.words * self.bits


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """A block as cells."""

    top: str
    """Module."""
    cells: dict[str, int]
    """Count by kind."""
    memories: tuple[Memory, ...]
    """What is not among them."""
    @property
    def count(self) -> int:
        """Cells."""
        return sum(self.cells.values())

    @property
    def flip_flops(self) -> int:
        """Cells that are one."""
        return self.cells.get(FLIP_FLOP, 0)

    def area_um2(self, library: CellLibrary) -> float:
        """Of the cells, in the library's process, nothing between them."""
        return sum(library.area_um2[name] * count for name, count in self.cells.items())


def map_block(top: str, sources: Mapping[str, str], library: CellLibrary, folder: Path,
              limit_s: float) -> Mapped:
    """Synthesise a module with all that it contains.

    Parameters
    ----------
    sources : Mapping[str, str]
        Verilog by module; modules that the top does not contain must not be among them.
    folder : Path
        Where files go; ``NETLIST`` has the cells in Verilog, flat.
    limit_s : float
        Most seconds of yosys.

    Raises
    ------
    PpaError
        If yosys is missing, fails or takes too long.
    """
    yosys = program("yosys")
    for name, text in {"block.v": "\n".join(sources.values()), "latches.v": LATCHES,
                       "abc.script": "\n".join(ABC) + "\n", "constraints": CONSTRAINTS}.items():
        (folder / name).write_text(text)
    abc = f"abc -liberty {library.path} -constr constraints -D {DELAY_PS} -script abc.script"
    said([yosys, "-q", "-p", "; ".join((
        "read_verilog block.v", f"hierarchy -check -top {top}", "proc -norom", "flatten",
        "opt", "memory_dff", "memory_collect", "opt_clean", "write_json memories.json",
        "expose -evert t:$mem_v2", "alumacc", "opt", "techmap", "opt -fast",
        "attrmap -remove init", f"dfflibmap -liberty {library.path}", "techmap -map latches.v",
        "opt -fast", abc, "setundef -zero", "opt_clean -purge", "tee -q -o stat stat",
        "splitnets -ports", "opt_clean -purge",
        f"write_verilog -noattr -noexpr -simple-lhs {NETLIST}"))], folder, limit_s)
    return Mapped(top=top, cells=read_cells((folder / "stat").read_text(), library),
                  memories=read_memories((folder / "memories.json").read_text()))


def read_cells(stat: str, library: CellLibrary) -> dict[str, int]:
    """Cells of the library in yosys' statistics of a flat module."""
    return {name: int(count) for name, count in re.findall(r"^\s+(\S+)\s+(\d+)\s*$", stat,
                                                           re.MULTILINE)
            if name in library.area_um2}


def read_memories(text: str) -> tuple[Memory, ...]:
    """Memories in yosys' JSON of a flat module."""
    found = []
    for module in json.loads(text)["modules"].values():
        for name, cell in module["cells"].items():
            if cell["type"] == "$mem_v2":
                given = cell["parameters"]
                size, bits, reads, writes = (int(given[key], 2) for key in (
                    "SIZE", "WIDTH", "RD_PORTS", "WR_PORTS"))
                found.append(Memory(name=name, words=size, bits=bits, reads=reads, writes=writes,
                                    clocked="0" not in given["RD_CLK_ENABLE"]))
    return tuple(found)
