"""A counter of the cycles since reset."""

from amaranth import ClockSignal, Instance, Module, ResetSignal, Signal

from ouroboros.hw.lib.library import Library

__all__ = ["CYCLE_COUNT", "CYCLE_COUNT_VERILOG", "cycle_count"]

CYCLE_COUNT = "cycle_count"
CYCLE_COUNT_VERILOG = """\
// For simulators that leave out the cycles in which nothing else happens: asked for, not counted.
// The function tells how many cycles the simulation has had, this one not included.
module cycle_count #(parameter BITS = 48) (clk, rst, count);
  input clk, rst;
  output reg [BITS - 1:0] count = 0;
  import "DPI-C" function longint block_cycle();
  reg [63:0] base = 0, now;
  always @(posedge clk) begin
    now = block_cycle();
    if (rst) base <= now;
    count <= rst ? 0 : BITS'(now - base);
  end
endmodule
"""
"""Text of the module for a library whose Verilog is stepped (``tb.flow.stepped``)."""


def cycle_count(m: Module, library: Library | None, bits: int) -> Signal:
    """A signal that is 0 in reset and then one more in every cycle of ``sync``."""
    count = Signal(bits, name="time")
    if library is not None and library.holds(CYCLE_COUNT):
        m.submodules.cycle_count = Instance(
            CYCLE_COUNT, p_BITS=bits, i_clk=ClockSignal(), i_rst=ResetSignal(), o_count=count)
    else:
        m.d.sync += count.eq(count + 1)
    return count
