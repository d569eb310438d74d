"""Blocks stepped once a cycle: texts and refusals; ``tests/sim/test_machine.py`` runs them."""

from dataclasses import replace

import pytest

from ouroboros.tb.flow.backend import TILE
from ouroboros.tb.flow.build import build
from ouroboros.tb.flow.stepped import Port, Stepped, SteppedError, driver, ports_of, stand_in

TEXT = """\
module other(clk, a);
  input clk;
  input [8:0] a;
endmodule
module tile(clk, rst, i__valid, i__flit, o__valid, o__flit);
  input clk;
  wire clk;
  input rst;
  input i__valid;
  input [64:0] i__flit;
  output o__valid;
  reg o__valid;
  output [39:0] o__flit;
endmodule
"""
BLOCK = Stepped(module="tile", wakes=("rst", "i__valid"), pulses=("o__valid",),
                gates=("gate__DOT__open",))
ROOT = "CData/*0:0*/ tile__DOT__gate__DOT__open;\nCData/*0:0*/ __Vdly__tile;\n"


def test_ports_in_both_styles():
    old = ports_of("tile", TEXT)
    assert old == [Port("clk", True, 1), Port("rst", True, 1), Port("i__valid", True, 1),
                   Port("i__flit", True, 65), Port("o__valid", False, 1),
                   Port("o__flit", False, 40)]
    new = ports_of("tile", "module tile (\n  input wire clk,\n  input wire [64:0] i__flit,\n"
                           "  output reg o__valid);\nendmodule\n")
    assert new == [old[0], old[3], old[4]]
    assert [port.words for port in old] == [1, 1, 1, 3, 1, 2]
    assert old[3].member == "i___05Fflit"


def test_stand_in_looks_only_where_it_may_be_woken():
    text = stand_in(BLOCK, ports_of("tile", TEXT))
    assert "if (rst ? held != 15 : awake | (|rst) | (|i__valid)) begin" in text
    # Held in reset it is stepped 15 times, and again for the next reset.
    assert "held <= rst ? held + {3'b0, held != 15} : 0;" in text
    assert "always @(posedge clk)" in text and "negedge" not in text
    code = driver(BLOCK, ports_of("tile", TEXT), ROOT)
    assert ("const bool awake = root.tile__DOT__gate__DOT__open || model.rst || "
            "model.i___05Fvalid || model.o___05Fvalid;") in code
    assert "std::memcpy(model.i___05Fflit.data(), i___05Fflit, 12);" in code
    assert "o___05Fflit[1] = static_cast<uint32_t>(model.o___05Fflit >> 32);" in code


@pytest.mark.parametrize(("act", "message"), [
    (lambda ports: ports_of("tiles", TEXT), "text must have a module tiles"),
    (lambda ports: ports_of("x", "module x(a);\n input a;\nendmodule"),
     "module x must have a clock clk"),
    (lambda ports: stand_in(replace(BLOCK, wakes=("i_valid",)), ports),
     "module tile must have a port i_valid"),
    (lambda ports: stand_in(BLOCK, [port for port in ports if port.name != "rst"]),
     "module tile must have a port rst"),
    (lambda ports: driver(BLOCK, ports, "CData a;"),
     r"module tile must have one variable ..gate__DOT__open, not 0"),
    (lambda ports: driver(BLOCK, ports, ROOT + "CData core__DOT__gate__DOT__open;"),
     r"module tile must have one variable ..gate__DOT__open, not 2"),
    (lambda ports: driver(replace(BLOCK, wakes=("i__flit",)), ports, ROOT),
     "port i__flit must have at most 64 bits to wake by, not 65"),
])
def test_refusals(act, message):
    with pytest.raises(SteppedError, match=message):
        act(ports_of("tile", TEXT))


@pytest.mark.sim
def test_icarus_ignores_it(tmp_path, monkeypatch):
    """The same build with it and without."""
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    sources = {"tile": TEXT}
    built = [build("tile", sources, sim="icarus", stepped=one) for one in (None, BLOCK)]
    assert built[0].directory == built[1].directory
    assert {*TILE.wakes} & {*TILE.pulses} == set()
