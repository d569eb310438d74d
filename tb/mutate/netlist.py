"""Mutants of a netlist by yosys' pass ``mutate``, all in one design with a port that chooses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ouroboros.tb.ppa.library import PpaError, program, said

__all__ = ["CHOICE", "Mutant", "listed", "mutated", "place_of", "proved_equal"]

CHOICE = "mutant"
"""Port of the top that chooses a mutant by its number; 0 is the block as it is."""
DESIGN, LIST = "design.il", "mutants.list"
LIMIT_S, PROOF_S = 600, 20
STEPS = 2
"""Cycles of an induction: more do not prove more of blocks whose registers have all a name."""
CLOCKED = frozenset({"CLK", "clk", "rst"})
"""Ports and wires left out: a bench resets once, and after a power-up in which all registers have
their initial values a reset changes nothing. ``tests/sim/test_power_up.py`` is about that."""
_LINE = re.compile(r"mutate (.*)$")
_MODULE = re.compile(r"^module (\w+)\s*\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"// ((?:hw|tb)/\S+\.py:\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One bit of one port of a cell, changed."""

    number: int
    """Value of the port that chooses, from 1."""
    options: str
    """Of yosys' ``mutate``."""
    mode: str
    """``inv``, ``const0``, ``const1``; ``cnot0`` and ``cnot1`` invert it if another bit is so."""
    cell: str
    """Kind of cell: an operator, a register, a memory's port, an instance."""
    port: str
    """Port of the cell, with the bit: ``A[3]``."""
    wire: str
    """What is connected there, if that has a name."""
    module: str
    """Verilog module."""
    place: str
    """Python file and line below the project's root that the cell comes from."""

    def __str__(self) -> str:
        at = f" ({self.wire})" if self.wire else ""
        return f"{self.place} {self.mode} {self.cell}.{self.port}{at} in {self.module}"


def listed(top: str, sources: Mapping[str, str], modules: Sequence[str], folder: Path, count: int,
           seed: int) -> tuple[Mutant, ...]:
    """Choose mutants, evenly over modules, cells and lines; the design stays in the folder.

    Parameters
    ----------
    top : str
        Top module.
    sources : Mapping[str, str]
        Verilog by module.
    modules : Sequence[str]
        Those to be changed.
    folder : Path
        Where files go.
    count : int
        How many at most.
    seed : int
        Of the choice.

    Raises
    ------
    PpaError
        If yosys is missing or refuses the design.
    """
    for name, text in sources.items():
        (folder / f"{name}.sv").write_text(text)
    read = " ".join(f"{name}.sv" for name in sources)
    # Twice as many, since some are left out.
    said([program("yosys"), "-q", "-p", "; ".join((
        f"read_verilog -sv {read}", f"hierarchy -check -top {top}", "proc -norom",
        "opt -nodffe -nosdff", "opt_clean", f"write_rtlil {DESIGN}",
        f"mutate -list {2 * count} -seed {seed} -o {LIST} {' '.join(modules)}"))], folder, LIMIT_S)
    kinds = _kinds((folder / DESIGN).read_text())
    places = {name: _places(text) for name, text in sources.items()}
    found: list[Mutant] = []
    for line in (folder / LIST).read_text().splitlines():
        options = _LINE.match(line)
        assert options is not None
        given = dict(re.findall(r"-(mode|module|cell|port|portbit|wire|wirebit) (\S+)", line))
        kind = kinds[given["module"].removeprefix("\\"), given["cell"]]
        module, wire = given["module"].removeprefix("\\"), given.get("wire", "")
        if kind.startswith("$meminit") or CLOCKED & {
                name.rpartition("_")[2] for name in (given["port"], wire)}:
            continue
        at = [place for name, number in re.findall(r"-src (\w+)\.sv:(\d+)", line)
              if (place := place_of(places[name], int(number)))]
        found.append(Mutant(
            number=len(found) + 1, mode=given["mode"], module=module,
            options=re.sub(r" -src \S+", "", options[1]),
            cell=kind, port=f"{given['port']}[{given['portbit']}]",
            wire=f"{wire}[{given['wirebit']}]" if wire else "", place=at[-1] if at else "?"))
        if len(found) == count:
            break
    return tuple(found)


def mutated(top: str, mutants: Sequence[Mutant], folder: Path) -> dict[str, str]:
    """Verilog of the design of ``listed`` with all mutants in it."""
    bits = len(mutants).bit_length()
    script = [f"read_rtlil {DESIGN}"]
    script += [f"mutate -ctrl {CHOICE} {bits} {one.number} {one.options}" for one in mutants]
    (folder / "mutate.ys").write_text("\n".join([*script, "write_verilog -noattr mutants.v"]))
    said([program("yosys"), "-q", "-s", "mutate.ys"], folder, LIMIT_S)
    text = (folder / "mutants.v").read_text()
    return {part[1]: part[0] for part in _MODULE.finditer(text)}


def place_of(places: Mapping[int, str], line: int) -> str:
    """Python file and line of a line of Verilog: that of the last comment up to it."""
    return places.get(max((number for number in places if number <= line), default=0), "")


def proved_equal(mutant: Mutant, folder: Path) -> bool:
    """Whether yosys proves, by induction over registers and outputs, that the module is unchanged.

    It is the mutant's module with what is below it, whatever its inputs do: of a whole block a
    proof takes minutes. Not if it takes longer than ``PROOF_S``.
    """
    top = mutant.module
    # Only names of registers and ports are left: other nets may differ where nobody looks.
    flat = ("flatten; memory_dff; memory_map; opt_clean; select -set kept t:$dff %co1:+[Q] w:* %i; "
            "rename -hide w:* @kept %d x:* %d")
    script = (f"read_rtlil {DESIGN}; mutate {mutant.options}; hierarchy -top {top}; {flat}; "
              f"rename {top} gate; design -stash gate; read_rtlil {DESIGN}; "
              f"hierarchy -top {top}; {flat}; rename {top} gold; "
              "design -stash gold; design -copy-from gold gold; design -copy-from gate gate; "
              "equiv_make gold gate equiv; hierarchy -top equiv; equiv_struct; "
              f"equiv_simple -undef; equiv_induct -undef -seq {STEPS}; "
              "tee -q -o equal.txt equiv_status")
    try:
        said([program("yosys"), "-q", "-p", script], folder, PROOF_S)
    except PpaError as error:
        if "must end within" not in str(error):
            raise
        return False
    return "Equivalence successfully proven" in (folder / "equal.txt").read_text()


def _kinds(text: str) -> dict[tuple[str, str], str]:
    """Kind of each cell by module and name, from RTLIL."""
    found, module = {}, ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["module"]:
            module = words[1].removeprefix("\\")
        elif words[:1] == ["cell"]:
            found[module, words[2].removeprefix("\\")] = words[1].removeprefix("\\")
    return found


def _places(text: str) -> dict[int, str]:
    """Python place by line of Verilog that has a comment."""
    return {n: match[1] for n, line in enumerate(text.splitlines(), 1)
            if (match := _COMMENT.search(line))}
