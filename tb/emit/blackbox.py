"""A module without its inside: a stub in Verilog, and what a flow needs to place it."""

import math

from ouroboros.floorplan.plan import plan_floor
from ouroboros.floorplan.rules import load_rules
from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.tb.emit.netlist import Module, read_module

__all__ = ["lef", "liberty", "reachable", "stub"]

NM_PER_UM = 1000


def stub(text: str) -> str:
    """Ports of a module, and nothing in it."""
    module = read_module(text)
    lines = [f"(* blackbox *)\nmodule {module.name}({', '.join(module.ports)});"]
    for port, (way, width) in module.ports.items():
        lines.append(f"  {way} {f'[{width - 1}:0] ' if width > 1 else ''}{port};")
    return "\n".join([*lines, "endmodule", ""])


def reachable(modules: dict[str, Module], top: str) -> set[str]:
    """Modules that a top contains, itself included."""
    found: set[str] = set()
    open_ = [top]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += [kind for kind, _ in modules[name].placed.values() if kind in modules]
    return found


def liberty(text: str, machine: Machine) -> str:
    """Area and pins of a macro; no timing, since none was measured."""
    module, (width, height) = read_module(text), _size_um(machine)
    widths = sorted({bits for _, bits in module.ports.values() if bits > 1})
    lines = [f'library ("{module.name}_{machine.name}") {{',
             '  delay_model : table_lookup;', '  time_unit : "1ns";',
             '  capacitive_load_unit (1, pf);', '  voltage_unit : "1V";', '  current_unit : "1mA";',
             '  pulling_resistance_unit : "1kohm";', '  leakage_power_unit : "1nW";']
    for bits in widths:
        lines += [f'  type (bus{bits}) {{', '    base_type : array;', '    data_type : bit;',
                  f'    bit_width : {bits};', f'    bit_from : {bits - 1};', '    bit_to : 0;',
                  '    downto : true;', '  }']
    lines += [f'  cell ({module.name}) {{', f'    area : {width * height:.3f};',
              '    is_macro_cell : true;', '    interface_timing : true;']
    for port, (way, bits) in module.ports.items():
        clock = ' clock : true;' if port == "clk" else ''
        if bits == 1:
            lines.append(f'    pin ({port}) {{ direction : {way};{clock} }}')
        else:
            lines.append(f'    bus ({port}) {{ bus_type : bus{bits}; direction : {way}; }}')
    return "\n".join([*lines, '  }', '}', ''])


def lef(text: str, machine: Machine) -> str:
    """Outline of a macro, and a pin for each bit along its south side, as close as they fit."""
    module, (width, height) = read_module(text), _size_um(machine)
    bits = [(f"{port}[{n}]" if wide > 1 else port, way)
            for port, (way, wide) in module.ports.items() for n in range(wide)]
    pitch = width / (len(bits) + 1)
    lines = ["VERSION 5.8 ;", 'BUSBITCHARS "[]" ;', 'DIVIDERCHAR "/" ;', f"MACRO {module.name}",
             "  CLASS BLOCK ;", "  ORIGIN 0 0 ;", f"  SIZE {width:.3f} BY {height:.3f} ;"]
    for n, (name, way) in enumerate(bits, 1):
        middle, half = n * pitch, pitch / 4
        rect = f"{middle - half:.4f} 0 {middle + half:.4f} {min(1.0, height):.3f}"
        lines += [f"  PIN {name}", f"    DIRECTION {way.upper()} ;",
                  f"    USE {'CLOCK' if name == 'clk' else 'SIGNAL'} ;", "    PORT",
                  "      LAYER LINK_V ;", f"        RECT {rect} ;", "    END", f"  END {name}"]
    return "\n".join([*lines, f"END {module.name}", "END LIBRARY", ""])


def _size_um(machine: Machine) -> tuple[float, float]:
    """Width and height of a macro: the paper's in the floorplan, or one as dense and of its shape.

    The floorplan's rules are for the paper's wafer, whatever machine is asked for.
    """
    paper = load_machine("wafer")
    macro = plan_floor(paper, load_rules(None)).core.macros[0]
    scale = math.sqrt(machine.cim.rows * machine.cim.outputs
                      / (paper.cim.rows * paper.cim.outputs))
    return scale * macro.width / NM_PER_UM, scale * macro.height / NM_PER_UM
