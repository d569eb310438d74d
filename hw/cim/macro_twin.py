"""Behavioural twin of the CIM macro, for simulators."""

from pathlib import Path

from amaranth.lib.wiring import In

from ouroboros.hw.cim.macro import macro_signature
from ouroboros.hw.lib.library import flat_ports
from ouroboros.hw.params.machine import Machine

__all__ = ["twin_verilog"]

_BODY = Path(__file__).with_suffix(".sv")


def twin_verilog(machine: Machine, name: str) -> str:
    """SystemVerilog of module ``name`` with ports that act as those of ``Macro`` in every cycle.

    It computes a whole command at once and costs next to nothing while idle; ``Library.add_source``
    puts it in the place of the macro. Users must keep the duties stated there: what a command gives
    whose rows or operands change under it differs from the macro.
    """
    ports = [("input", "clk", 1), ("input", "rst", 1)]
    ports += [("input" if flow is In else "output", port, len(value))
              for port, flow, value in flat_ports(macro_signature(machine).create())]
    header = ",\n".join(f"  {direction} wire [{bits - 1}:0] {port}"
                        for direction, port, bits in ports)
    sizes = "\n".join(f"localparam {key} = {value};" for key, value in {
        "ROWS": machine.cim.rows, "OUTPUTS": machine.cim.outputs,
        "ACTIVE_ROWS": machine.cim.active_rows,
        "ROWS_TOGETHER": machine.cim.k_write_rows_per_cycle, "LANES": machine.core.lanes}.items())
    return f"module {name} (\n{header}\n);\n\n{sizes}\n\n{_BODY.read_text()}"
