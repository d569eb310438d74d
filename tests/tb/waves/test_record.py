"""Waves of blocks that sleep, on a machine of two: the same values on both simulators."""

import pytest
from pywellen import Waveform

from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.build import build, run
from ouroboros.tb.flow.stepped import Stepped
from ouroboros.tb.flow.toolchain import ToolError, find
from ouroboros.tb.waves.record import PERIOD_PS, blocks, recorded, recorder

TINY = load_machine("tiny")
TILE = """\
module clock_gate(input clk, input enable, output gated);
  reg open;
  always @* if (!clk) open = enable;
  assign gated = clk & open;
endmodule
module tile(clk, rst, i, o);
  input clk;
  input rst;
  input i;
  output reg [7:0] o = 0;
  reg [3:0] left = 0;
  wire [7:0] next = o + 8'd3;
  wire gated;
  clock_gate gate(clk, rst | i | (left != 0), gated);
  always @(posedge gated)
    if (rst) begin o <= 0; left <= 0; end
    else if (i) begin left <= 4'd9; o <= 0; end
    else if (left == 1) begin left <= 0; o <= 0; end
    else begin left <= left - 1; o <= next; end
endmodule
"""
DIE = """\
module die(clk, rst, i, o);
  input clk, rst, i;
  output [15:0] o;
  tile tile_1_1(clk, rst, i, o[7:0]);
  tile tile_2_1(clk, rst, o[2], o[15:8]);
endmodule
"""
BLOCK = Stepped(module="tile", wakes=("rst", "i"), pulses=("o",), gates=("gate__DOT__open",))
CYCLES = (14, 40)


def record(sim, kind, cores):
    body = recorder(sim, TINY, cores, f"waves.{kind}")
    sources = recorded({"tile": TILE, "die": DIE}, TINY, body)
    built = build("die", sources, sim=sim, stepped=BLOCK, dump=kind)
    ran = run(built, test_module="ouroboros.tb.waves.bench_switch", env={
        "OUROBOROS_WAVES": blocks(TINY, cores), "FIRST": str(CYCLES[0]), "LAST": str(CYCLES[1])})
    return Waveform(str(ran.directory / f"waves.{kind}"))


def values(wave):
    """Of every signal that both simulators know, in the cycles that were recorded."""
    found = {}
    for var in wave.all_vars():
        name = var.full_name
        core = next((part for part in name.split(".") if part.startswith("tile_")), None)
        if core is None or name.rpartition(".")[2] not in ("i", "o", "left", "next", "open"):
            continue
        found[core, name.rpartition(".")[2]] = [
            int(str(var.signal.value_at(cycle * PERIOD_PS + PERIOD_PS - 1)), 0)
            for cycle in range(CYCLES[0] + 1, CYCLES[1] - 1)]
    return found


@pytest.mark.sim
@pytest.mark.parametrize("kind", ["vcd", "fst"])
def test_both_simulators_show_the_same(kind):
    if kind == "fst":
        try:
            find("verilator", fst=True)
        except ToolError as error:
            pytest.skip(str(error))
    both = [values(record(sim, kind, [(1, 1), (2, 1)])) for sim in ("icarus", "verilator")]
    assert both[0].keys() == both[1].keys() and len(both[0]) == 10
    assert both[0] == both[1]
    assert len(set(both[0]["tile_1_1", "left"])) == 10      # it slept and woke


@pytest.mark.sim
@pytest.mark.parametrize("sim", ["icarus", "verilator"])
def test_only_the_cores_that_were_asked_for(sim):
    wave = record(sim, "vcd", [(2, 1)])
    names = {name for name in {var.full_name for var in wave.all_vars()} if "tile_" in name}
    assert names and all("tile_2_1" in name and "tile_1_1" not in name for name in names)
