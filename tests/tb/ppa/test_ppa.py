"""Area and timing of blocks: what is mapped by hand, what the statistics say, what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.main import cli
from ouroboros.tb.ppa.blocks import Block, blocks_of
from ouroboros.tb.ppa.kept import map_and_time
from ouroboros.tb.ppa.library import LIBERTY, CellLibrary, PpaError, find_library, program
from ouroboros.tb.ppa.report import PAPER_CORE_MM2, BlockReport, Report
from ouroboros.tb.ppa.scaling import load_scaling
from ouroboros.tb.ppa.synthesis import Mapped, Memory, map_block, read_cells, read_memories
from ouroboros.tb.ppa.timing import Timing, analyse, read_path

MISSING = [str(LIBERTY)] * (not LIBERTY.is_file()) + [
    name for name in ("yosys", "sta") if shutil.which(name) is None]
mapped_here = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
SAMPLE = """module sample (clk, a, b, address, q, word);
  input clk;
  input a;
  input b;
  input [3:0] address;
  output reg q;
  output reg [7:0] word;
  reg held;
  reg [7:0] memory [15:0];
  always @(posedge clk) begin
    held <= a;
    q <= held ^ b;
    word <= memory[address];
    if (a) memory[address] <= {8{b}};
  end
endmodule
"""
CELLS = CellLibrary(Path("hand.lib"), {"DFFPOSX1": 96, "INVX1": 16, "LATCH": 0, "MUX2X1": 48})


def report(path_ns=10.0, memories=(), cells=None, scale=1.0):
    block = Block(name="hand", count=2, sources={}, scale=scale)
    return Report(machine=load_machine("tiny"), library=CELLS, scaling=load_scaling(), whole=True,
                  blocks=(BlockReport(
                      block=block,
                      mapped=Mapped(top="hand", cells=cells or {"INVX1": 1000}, memories=memories),
                      timing=Timing(path_ns=path_ns, start="a", end="b", stages=3,
                                    energy_pj=100.0)),))


@mapped_here
def test_a_block_by_hand(tmp_path):
    """Two flip-flops and an exclusive or; the read register belongs to the memory."""
    library = find_library()
    mapped = map_block("sample", {"sample": SAMPLE}, library, tmp_path, 60)
    assert mapped.flip_flops == 2
    assert mapped.memories == (
        Memory(name="memory", words=16, bits=8, reads=1, writes=1, clocked=True),)
    timing = analyse(mapped, library, 0.1, 2.0, tmp_path)
    # What the memory reads goes to a port, later than anything between the flip-flops.
    assert timing.start.startswith("memory.RD_DATA") and timing.path_ns == 2.0
    quick = analyse(mapped, library, 0.1, 0.0, tmp_path)
    assert 0.3 < quick.path_ns < 1.5
    busy = analyse(mapped, library, 0.2, 2.0, tmp_path)
    assert busy.energy_pj > timing.energy_pj > 0


@mapped_here
def test_a_real_block_is_mapped_once(monkeypatch, tmp_path):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    block = blocks_of(load_machine("tiny"))["core_array_unit_frames"]
    first = map_and_time(block, find_library(), 0.1, 6.5, 120)
    assert first[0].flip_flops > 10 and first[1].path_ns > 0
    monkeypatch.setattr("ouroboros.tb.ppa.kept.map_block", None)
    assert map_and_time(block, find_library(), 0.1, 6.5, 120) == first


def test_blocks_of_a_tile():
    machine = load_machine("tiny")
    blocks = blocks_of(machine)
    assert blocks["macro"].count == machine.core.macros
    assert blocks["router"].count == blocks["core_sfu"].count == 1
    assert blocks["macro"].scale == 1.0
    # What has blocks in it is mapped without them, what has none with all that it holds.
    assert "blackbox" in blocks["core"].sources["core_sfu"]
    assert "blackbox" not in "".join(blocks["core_sfu"].sources.values())


def test_statistics_of_yosys():
    assert read_cells("   Number of cells:     9\n     INVX1      7\n     other   2\n", CELLS) == {
        "INVX1": 7}
    cell = {"type": "$mem_v2", "parameters": {
        "SIZE": "100000", "WIDTH": "111", "RD_PORTS": "10", "WR_PORTS": "1",
        "RD_CLK_ENABLE": "10"}}
    assert read_memories(json.dumps({"modules": {"top": {"cells": {"m": cell}}}})) == (
        Memory(name="m", words=32, bits=7, reads=2, writes=1, clocked=False),)


def test_path_of_a_report():
    netlist = ("  DFFPOSX1 _1_ (\n    .CLK(clk),\n    .D(n),\n    .Q(\\state[3] )\n  );\n"
               "  DFFPOSX1 _2_ (\n    .CLK(clk),\n    .D(m),\n    .Q(busy)\n  );\n")
    text = ("Startpoint: _1_ (rising)\nEndpoint: _2_ (rising)\n"
            "   0.0000    0.0000 ^ _1_/CLK (DFFPOSX1)\n   0.2000    0.2000 v _1_/Q (DFFPOSX1)\n"
            "   0.3000    0.5000 ^ _7_/Y (INVX1)\n   0.0000    0.5000 ^ _2_/D (DFFPOSX1)\n"
            "             0.5000   data arrival time\n"
            "  -0.1000    9.9000   library setup time\n")
    assert read_path(text, netlist) == (pytest.approx(0.6), "state[3]", "busy", 1)
    assert read_path("No paths found.", netlist) == (0.0, "", "", 0)


def test_areas_and_clock_by_hand():
    held = Memory(name="f", words=4, bits=8, reads=1, writes=1, clocked=False)
    ram = Memory(name="r", words=1000, bits=1000, reads=2, writes=1, clocked=True)
    found = report(memories=(held, ram)).as_dict()
    [block] = found["blocks"]
    um2 = 1000 * 16 + 32 * (96 + 2 * 48)
    assert block["logic_mm2"]["mid"] == pytest.approx(um2 / 320 / 0.6 / 1e6)
    assert block["memory_mm2"] == pytest.approx(
        {"low": 1 / 29.2, "mid": 1.5 / 14.8, "high": 2 / 10.95})
    assert found["clock_ghz"]["mid"] == pytest.approx(1 / (10 * 0.0613 * 1.25))
    assert found["clock_ghz"]["low"] < found["clock_ghz"]["mid"] < found["clock_ghz"]["high"]
    assert found["core_mm2"]["mid"] == pytest.approx(
        2 * (block["logic_mm2"]["mid"] + block["memory_mm2"]["mid"]))
    assert block["pj_per_cycle"]["mid"] == pytest.approx(100 * 0.00171)
    assert found["floorplan"] is None and found["paper_core_mm2"] == PAPER_CORE_MM2


def test_scaled_blocks():
    ram = (Memory(name="r", words=8, bits=8, reads=1, writes=1, clocked=True),)
    small, large = (report(memories=ram, scale=n).as_dict() for n in (1.0, 8.0))
    assert large["blocks"][0]["cells"] == 8 * small["blocks"][0]["cells"]
    assert large["core_mm2"]["mid"] == pytest.approx(8 * small["core_mm2"]["mid"])
    assert large["clock_ghz"] == small["clock_ghz"]


def test_a_missing_library_is_one_sentence(tmp_path):
    missing = tmp_path / "cells.lib"
    done = CliRunner().invoke(cli, ["ppa", "tiny", "--liberty", str(missing)])
    assert done.exit_code == 2
    assert done.output == (f"Error: liberty file {missing} must exist; type: sudo apt-get install "
                           "qflow-tech-osu018\n")


def test_a_library_without_latches_is_refused(tmp_path):
    path = tmp_path / "cells.lib"
    path.write_text("library (l) {\n  cell (DFFPOSX1) { area : 96; }\n"
                    "  cell (INVX1) {area : 16;}\n}\n")
    with pytest.raises(PpaError, match="must have a cell LATCH"):
        find_library(path)


def test_a_missing_program_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PpaError) as error:
        program("sta")
    assert str(error.value) == "command 'sta' must exist; type: sudo apt-get install opensta"


@mapped_here
def test_an_unknown_block_is_named():
    done = CliRunner().invoke(cli, ["ppa", "tiny", "--block", "rooter"])
    assert done.exit_code == 2
    assert "block of machine tiny must be one of router, macro, " in done.output
    assert done.output.endswith("not 'rooter'\n")
