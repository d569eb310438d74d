"""A module that Verilator compiles once for all its instances, and that is stepped once a cycle.

Verilator's own hierarchical blocks are evaluated several times a cycle, asleep or not: for a mesh
of which most tiles sleep that is nearly all of the time. Here the instance in the design is a few
lines that call the compiled block at a rising edge, and not at all while it sleeps.

A block that is held in reset, as a machine holds its dead cores, is stepped a few times and then
left as it is.

A block may be stepped if all its outputs are registers of the rising edge of its one clock ``clk``.
It sleeps while the enables of its own clock gates are low: then nothing in it may change but a
count of cycles, which asks for their number (``hw.lib.cycles``) instead of counting.
"""

import re
from dataclasses import dataclass

__all__ = ["Port", "Stepped", "SteppedError", "driver", "ports_of", "stand_in"]

CLOCK, RESET = "clk", "rst"
RESET_STEPS = 15
"""In reset, after which no register changes any more: those that pass reset on, and gates, are
few in a row."""


class SteppedError(ValueError):
    """A module that cannot be stepped as it was said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepped:
    """What is known of such a module."""

    module: str
    """Its name."""
    wakes: tuple[str, ...]
    """Inputs that wake it, whatever their value but 0; others are looked at only while it is
    awake. The reset is one."""
    pulses: tuple[str, ...]
    """Outputs that are 0 whenever it sleeps."""
    gates: tuple[str, ...]
    """Latches of its clock gates, by how the names of Verilator's variables end."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a module."""

    name: str
    """Its name."""
    into: bool
    """Whether it is an input."""
    bits: int
    """Its width."""

    @property
    def member(self) -> str:
        """What Verilator calls it in C++."""
        return self.name.replace("__", "___05F")

    @property
    def words(self) -> int:
        """Of 32 bits."""
        return -(-self.bits // 32)


def ports_of(module: str, text: str) -> list[Port]:
    """Ports of a module in its Verilog, whose widths are numbers.

    Raises
    ------
    SteppedError
        If there is no such module, or it has no clock.
    """
    body = re.search(rf"\bmodule\s+{module}\b.*?\bendmodule\b", text, re.DOTALL)
    if body is None:
        raise SteppedError(f"text must have a module {module}")
    found = {name: Port(name, way == "input", int(high or 0) + 1) for way, high, name in re.findall(
        r"\b(input|output)\s+(?:wire\s+|reg\s+|logic\s+)?(?:\[(\d+):0\]\s*)?(\w+)", body[0])}
    if CLOCK not in found:
        raise SteppedError(f"module {module} must have a clock {CLOCK}")
    return list(found.values())


def stand_in(block: Stepped, ports: list[Port], *, waves: bool = False) -> str:
    """SystemVerilog of a module with the ports of the block, which steps it.

    Parameters
    ----------
    waves : bool
        Blocks can be recorded (``tb/waves/recorder.h``).

    Raises
    ------
    SteppedError
        If a port that the block names is none of it.
    """
    module, names = block.module, {port.name for port in ports}
    if missing := sorted({RESET, *block.wakes, *block.pulses} - names):
        raise SteppedError(f"module {module} must have a port {missing[0]}")
    inputs = [port for port in ports if port.into and port.name != CLOCK]
    outputs = [port for port in ports if not port.into]
    wide = {port.name: f"bit [{port.bits - 1}:0]" if port.bits > 1 else "bit" for port in ports}
    header = ",\n".join(
        f"  {'input wire' if port.into else 'output reg'} [{port.bits - 1}:0] {port.name}"
        for port in ports)
    formal = ", ".join([
        "input chandle block", "input longint cycle",
        *(f"input {wide[port.name]} {port.name}" for port in inputs),
        *(f"output {wide[port.name]} {port.name}" for port in outputs)])
    actual = ", ".join(["block", "cycle", *(port.name for port in inputs),
                        *(f"next_{port.name}" for port in outputs)])
    woken = " | ".join(f"(|{name})" for name in block.wakes)
    given = ", ".join(["input chandle block", "input longint cycle", *(
        f"input {wide[port.name]} {port.name}" for port in inputs)])
    handed = ", ".join(["block", "cycle", *(port.name for port in inputs)])
    declared = [] if not waves else [
        f"import \"DPI-C\" function bit {module}_recorded(input chandle block);",
        f"import \"DPI-C\" function void {module}_settle({given});",
        "bit recorded;"]
    settled = [] if not waves else [
        f"always @(negedge {CLOCK}) if (recorded & (awake | {woken}))",
        f"  {module}_settle({handed});"]
    lines = [
        f"module {module} (", header, ");",
        f"import \"DPI-C\" function chandle {module}_create(input string name);",
        f"import \"DPI-C\" function bit {module}_step({formal});",
        "chandle block;", "longint cycle;", "bit awake;", "bit [3:0] held;",
        *(f"{wide[port.name]} next_{port.name};" for port in outputs), *declared,
        "initial begin", f"  block = {module}_create($sformatf(\"%m\"));",
        *([f"  recorded = {module}_recorded(block);"] if waves else []),
        "  cycle = 0;", "  awake = 1;", "  held = 0;",
        *(f"  {port.name} = 0;" for port in outputs), "end",
        f"always @(posedge {CLOCK}) begin", "  cycle <= cycle + 1;",
        f"  held <= {RESET} ? held + {{3'b0, held != {RESET_STEPS}}} : 0;",
        f"  if ({RESET} ? held != {RESET_STEPS} : awake | {woken}) begin",
        f"    awake <= {module}_step({actual});",
        *(f"    {port.name} <= next_{port.name};" for port in outputs),
        "  end", "end", *settled, "endmodule", ""]
    return "\n".join(lines)


def driver(block: Stepped, ports: list[Port], root: str, *, waves: int = 0) -> str:
    """C++ of the functions that the stand-in calls.

    Parameters
    ----------
    root : str
        Verilator's header of the block's variables.
    waves : int
        Blocks can be recorded: picoseconds of a cycle; 0: they cannot.

    Raises
    ------
    SteppedError
        If the header does not have one variable for each gate.
    """
    module = block.module
    inputs = [port for port in ports if port.into and port.name != CLOCK]
    outputs = [port for port in ports if not port.into]
    formal = ",\n    ".join([
        "void* handle", "long long cycle",
        *(f"svBit {port.member}" if port.bits == 1 else f"const svBitVecVal* {port.member}"
          for port in inputs),
        *(f"svBit* {port.member}" if port.bits == 1 else f"svBitVecVal* {port.member}"
          for port in outputs)])
    gates = [_variable(module, root, end) for end in block.gates]
    by_name = {port.name: port for port in ports}
    awake = " || ".join([
        *(f"root.{gate}" for gate in gates),
        *(_any(by_name[name]) for name in (*block.wakes, *block.pulses))])
    lines = [
        f'#include "V{module}.h"', f'#include "V{module}___024root.h"', '#include "svdpi.h"',
        "#include <cstdint>", "#include <cstring>",
        *(["#include <set>", '#include "recorder.h"', "",
           "static Recorder& recorder = *new Recorder;",
           "static std::set<void*> chosen;"] if waves else []), "",
        "static long long now;", "",
        'extern "C" long long block_cycle() {', "  return now;", "}", "",
        f'extern "C" void* {module}_create(const char* name) {{',
        *(_make_recorded(module) if waves else []),
        f"  return new V{module}{{name}};", "}", "",
        f'extern "C" svBit {module}_step(', f"    {formal}) {{",
        f"  V{module}& model = *static_cast<V{module}*>(handle);",
        "  auto& root = *model.rootp;", "  now = cycle;",
        *([f"  recorder.edge(cycle, {waves});"] if waves else []),
        *(f"  {_set(port)}" for port in inputs),
        "  model.clk = 0;", "  model.eval();",
        f"  const bool awake = {awake};",
        "  if (awake) {", "    model.clk = 1;", "    model.eval();", "  }",
        *(f"  {_get(port)}" for port in outputs),
        "  return awake;", "}", "",
        *(_settle(module, inputs) if waves else [])]
    return "\n".join(lines)


def _make_recorded(module: str) -> list[str]:
    return ["  if (Recorder::wants(name)) {",
            f"    V{module}* const block = recorder.make<V{module}>(name);",
            "    chosen.insert(block);", "    return block;", "  }"]


def _settle(module: str, inputs: list[Port]) -> list[str]:
    """Functions for a recorded block: the state that a cycle's end will find."""
    formal = ", ".join([
        "void* handle", "long long cycle",
        *(f"svBit {port.member}" if port.bits == 1 else f"const svBitVecVal* {port.member}"
          for port in inputs)])
    return [f'extern "C" void {module}_record(svBit on) {{', "  recorder.record(on);", "}", "",
            f'extern "C" void {module}_close() {{', "  recorder.close();", "}", "",
            f'extern "C" svBit {module}_recorded(void* handle) {{',
            "  return chosen.count(handle) != 0;", "}", "",
            f'extern "C" void {module}_settle({formal}) {{',
            "  if (!recorder.recording()) return;",
            f"  V{module}& model = *static_cast<V{module}*>(handle);", "  now = cycle;",
            *(f"  {_set(port)}" for port in inputs),
            "  model.clk = 0;", "  model.eval();", "}", ""]


def _variable(module: str, root: str, end: str) -> str:
    found = set(re.findall(rf"\b(\w+{end})(?=;|/\*)", root))
    if len(found) != 1:
        raise SteppedError(f"module {module} must have one variable ..{end}, not {len(found)}")
    return found.pop()


def _any(port: Port) -> str:
    if port.bits > 64:
        raise SteppedError(f"port {port.name} must have at most 64 bits to wake by, "
                           f"not {port.bits}")
    return f"model.{port.member}"


def _set(port: Port) -> str:
    name = port.member
    if port.bits == 1:
        return f"model.{name} = {name};"
    if port.bits <= 32:
        return f"model.{name} = *{name};"
    if port.bits <= 64:
        return f"model.{name} = {name}[0] | static_cast<uint64_t>({name}[1]) << 32;"
    return f"std::memcpy(model.{name}.data(), {name}, {4 * port.words});"


def _get(port: Port) -> str:
    name = port.member
    if port.bits <= 32:
        return f"*{name} = model.{name};"
    if port.bits <= 64:
        return (f"{name}[0] = static_cast<uint32_t>(model.{name}); "
                f"{name}[1] = static_cast<uint32_t>(model.{name} >> 32);")
    return f"std::memcpy({name}, model.{name}.data(), {4 * port.words});"
