"""Clock gating: a domain whose clock stops while nothing in it can change."""

from amaranth import ClockDomain, ClockSignal, Instance, Module, ResetSignal, Signal

from ouroboros.hw.lib.library import Library

__all__ = ["CLOCK_GATE", "gated_domain"]

CLOCK_GATE = """\
// Integrated clock gate: a latch, open while the clock is low, and an AND. A clock period begins
// only if `enable` was high at the end of the one before. In silicon, a cell of the library.
module clock_gate (clk, enable, gated);
  input clk, enable;
  output gated;
  reg open = 1;
  always @(clk or enable) if (!clk) open = enable;
  assign gated = clk & open;
endmodule
"""


def gated_domain(m: Module, library: Library, name: str, enable, *,
                 own_reset: bool = False) -> None:
    """Add clock domain ``name``: the clock and reset of ``sync``, but stopped without ``enable``.

    An edge happens if ``enable`` is high in the cycle that it ends, or during reset; so ``enable``
    acts like that of an ``EnableInserter``, at no cost to registers. A simulator does no work for a
    clock that stands still, which an enabled register does not spare it.

    Parameters
    ----------
    m : Module
        Where the domain is declared, for ``DomainRenamer`` or ``m.d``.
    library : Library
        Takes the text of module ``clock_gate``; not a flat one, whose designs are for Amaranth's
        simulator, which knows no instances.
    name : str
        Of the domain.
    enable : ValueLike
        Whether a register of the domain may change at the end of this cycle.
    own_reset : bool
        The domain's reset is a register of its own, a cycle late. A simulator computes what hangs
        on a register of a clock that runs at every edge of it, and on a reset hangs all.
    """
    library.add_source("clock_gate", CLOCK_GATE)
    domain = ClockDomain(name)
    m.domains += domain
    reset = ResetSignal()
    if own_reset:
        late = Signal(init=1, reset_less=True, name=f"{name}_rst_late")
        m.d[name] += late.eq(ResetSignal())
        m.d.comb += domain.rst.eq(late)
        reset = reset | late
    else:
        m.d.comb += domain.rst.eq(reset)
    m.submodules[f"gate_{name}"] = Instance(
        "clock_gate", i_clk=ClockSignal(), i_enable=enable | reset, o_gated=domain.clk)
