"""What is added to an emitted machine so that waves of chosen cores can be switched on and off."""

from collections.abc import Iterable, Mapping

from ouroboros.hw.mesh.wafer import tile_path, top_name
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.tb.lib.link import PERIOD_NS
from ouroboros.tb.mesh.tap import inside

__all__ = ["PERIOD_PS", "SWITCH", "blocks", "recorded", "recorder"]

SWITCH = "waves_on"
"""Register of the top module that a bench sets while waves are recorded."""
PERIOD_PS = 1000 * PERIOD_NS
"""Time of a cycle in a file of waves."""


def blocks(machine: Machine, cores: Iterable[Position]) -> str:
    """Places of cores' tiles below the top, for the variable OUROBOROS_WAVES."""
    return " ".join(tile_path(machine, core) for core in cores)


def recorded(sources: Mapping[str, str], machine: Machine, body: str) -> dict[str, str]:
    """The modules of a machine with a recorder, whose text is ``body``, and its switch."""
    top = top_name(machine)
    more = (f"  reg {SWITCH} /*verilator public_flat_rw*/ = 0;\n"
            f"  waves waves(.on({SWITCH}));\n")
    # Children come before parents.
    return {"waves": body, **sources, top: inside(top, sources[top], more)}


def recorder(sim: str, machine: Machine, cores: Iterable[Position], name: str) -> str:
    """Text of the recorder.

    Icarus dumps the tiles by itself; tiles that Verilator steps are told (``recorder.h``), so that
    one program serves for any cores.

    Parameters
    ----------
    name : str
        File in the folder of the run.
    """
    if sim == "verilator":
        return ("module waves(input wire on);\n"
                '  import "DPI-C" function void tile_record(input bit on);\n'
                '  import "DPI-C" function void tile_close();\n'
                "  always @(on) tile_record(on);\n  final tile_close();\nendmodule\n")
    top = top_name(machine)
    tiles = ", ".join(f"{top}.{place}" for place in blocks(machine, cores).split())
    return ("module waves(input wire on);\n  reg begun = 0;\n"
            "  always @(posedge on) if (begun) $dumpon; else begin\n    begun = 1;\n"
            f'    $dumpfile("{name}");\n    $dumpvars(0, {tiles});\n  end\n'
            "  always @(negedge on) if (begun) begin\n    $dumpoff;\n    $dumpflush;\n  end\n"
            "endmodule\n")
