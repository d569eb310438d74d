"""``ouroboros speed macro``: how fast Verilator runs a macro and its behavioural twin.

Both are busy with full products back to back, and idle. No cocotb: its clock would be slower than
the twin.
"""

import resource
import subprocess
import time
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.cim.macro import macro_signature
from ouroboros.hw.cim.macro_gated import GatedMacro
from ouroboros.hw.cim.macro_twin import twin_verilog
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.api.shared import OnMachine
from ouroboros.sw.api.speed import Speed
from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.cli.speed import show_speeds
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.tb.flow.toolchain import find

__all__ = ["MacroSpeed", "macro", "measure"]

_MAIN = """
#include <cstdio>
#include <cstdlib>
#include "Vmacro_speed.h"
int main(int, char** args) {
    Vmacro_speed top;
    top.rst = 0;
    top.busy = std::atoi(args[1]);
    for (long cycle = std::atol(args[2]); cycle; --cycle) {
        top.clk = 0; top.eval();
        top.clk = 1; top.eval();
    }
    std::printf("%u %u\\n", top.results, top.check);
}
"""


class MacroSpeed(wiring.Component):
    """A macro, or its twin, and a generator: fills weights and a bank, then only multiplies.

    Members
    -------
    busy : In(1)
        Products back to back; otherwise none.
    results : Out(32)
        Results taken.
    check : Out(32)
        Depends on all sums, so that the simulator must compute them.
    """

    def __init__(self, machine: Machine, library: Library, *, twin: bool):
        self.machine = machine
        self.library = library
        self.twin = twin
        super().__init__({"busy": In(1), "results": Out(32), "check": Out(32)})

    def elaborate(self, platform):
        m = Module()

        machine, cim = self.machine, self.machine.cim
        if self.twin:
            self.library.add_source("dut", twin_verilog(machine, "dut"))
        m.submodules.dut = dut = self.library.instance(
            "dut", macro_signature(machine).create if self.twin
            else lambda: GatedMacro(machine, self.library), params=machine)

        row = Signal(range(cim.rows + 1))
        started = Signal()
        m.d.comb += [
            dut.write.en.eq(row < cim.rows),
            dut.write.row.eq(row),
            dut.write.mask.eq(-1),
            dut.write.data.eq((row * 0x9d)[:8].replicate(cim.outputs)
                              ^ sum(37 * o % 256 << 8 * o for o in range(cim.outputs))),
            dut.operand.en.eq(dut.write.en),
            dut.operand.index.eq(row),
            dut.operand.mask.eq(-1),
            dut.operand.data.eq((row * 0x6b)[:8].replicate(machine.core.word_bits // 8)
                                ^ sum(59 * b % 256 << 8 * b
                                      for b in range(machine.core.word_bits // 8))),
            dut.cmd.valid.eq(started & self.busy),
            dut.cmd.p.groups.eq(cim.groups),
            dut.cmd.p.first.eq(1),
            dut.cmd.p.last.eq(1),
            dut.cmd.p.columns.eq(-1),
            dut.take.eq(dut.full),
            dut.beat.eq(self.results),
        ]
        m.d.sync += [row.eq(row + dut.write.en), started.eq(row == cim.rows)]
        with m.If(dut.full):
            m.d.sync += self.results.eq(self.results + 1)
            m.d.sync += self.check.eq(self.check.rotate_left(1)
                                      ^ reduce(xor, (lane.as_unsigned() for lane in dut.sums)))

        return m


def measure(machine: Machine, *, twin: bool) -> tuple[Speed, ...]:
    """Products and cycles when busy, cycles when idle, per second of processor time."""
    library = Library()
    library.define("macro_speed", lambda: MacroSpeed(machine, library, twin=twin), params=machine)
    name = "twin" if twin else "macro"
    started = time.perf_counter()
    program = _compile(cache_folder("speed") / f"{machine.name}-{name}", library.text())
    build_s = time.perf_counter() - started
    cycles = 1000
    while (busy := _run(program, busy=1, cycles=cycles))[0] < 1:
        cycles *= 4
    busy_s, results = busy
    idle_s = max(_run(program, busy=0, cycles=cycles)[0], 0.01)
    return tuple(Speed(what=f"{machine.name}, {name}, {state}", unit=unit,
                       per_processor_s=count / seconds, build_s=build_s)
                 for state, unit, count, seconds in (
                     ("busy", "products", results, busy_s), ("busy", "cycles", cycles, busy_s),
                     ("idle", "cycles", cycles, idle_s)))


def _compile(directory: Path, text: str) -> Path:
    tool = find("verilator")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "macro_speed.sv").write_text(text)
    (directory / "main.cpp").write_text(_MAIN)
    make = " ".join(["OPT_FAST=-O2", "OPT_GLOBAL=-O2", *tool.make_args])
    subprocess.run([tool.path, "--cc", "--exe", "--build", "main.cpp", "macro_speed.sv",
                    "--top-module", "macro_speed", "--Mdir", directory, "-O3", "-Wno-fatal",
                    "-Wno-lint", "-Wno-style", "--noassert", "-MAKEFLAGS", make],
                   cwd=directory, env={**tool.env}, check=True, capture_output=True)
    return directory / "Vmacro_speed"


def _run(program: Path, *, busy: int, cycles: int) -> tuple[float, int]:
    """CPU time and results of a run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([program, str(busy), str(cycles)], check=True, capture_output=True,
                          text=True)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return seconds, int(done.stdout.split()[0])


@command(OnMachine)
def macro(options: OnMachine, output: Output) -> dict[str, Any]:
    """Measure products and cycles per second of one macro, and of its twin."""
    machine = load_machine(options.machine)
    return show_speeds([one for twin in (False, True) for one in measure(machine, twin=twin)],
                       output)
