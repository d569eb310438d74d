"""Where a command waits for the macros that are to run it."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.cim.sequencer import command_layout
from ouroboros.hw.params.machine import Machine

__all__ = ["CommandHolder", "order_layout"]


def order_layout(machine: Machine) -> data.StructLayout:
    """A command for every macro of the mask ``macros``; it may be empty."""
    return data.StructLayout({
        "macros": machine.core.macros, "command": command_layout(machine)})


class CommandHolder(wiring.Component):
    """Keeps one command until each of its macros has taken it, at whatever time that is.

    An order taken in cycle t is offered from t + 1 on; the next can be taken in the cycle in which
    the last macro takes this one, so macros that are ready take one command a cycle.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    order : In(stream(order_layout(machine)))
        Commands.
    command, pending, ready : Out, Out, In
        The command, for all macros in ``pending``, each of which takes it when ready.
    quiet : Out(1)
        Nothing waits and all macros are ready.
    """

    def __init__(self, machine: Machine):
        macros = machine.core.macros
        super().__init__({
            "order":   In(stream.Signature(order_layout(machine))),
            "command": Out(command_layout(machine)),
            "pending": Out(macros),
            "ready":   In(macros),
            "quiet":   Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        left = Signal.like(self.pending)
        m.d.comb += [
            left.eq(self.pending & ~self.ready),
            self.order.ready.eq(left == 0),
            self.quiet.eq((self.pending == 0) & self.ready.all()),
        ]
        with m.If(self.pending.any()):
            m.d.sync += self.pending.eq(left)
        with m.If(self.order.valid & self.order.ready):
            m.d.sync += [self.pending.eq(self.order.p.macros),
                         self.command.eq(self.order.p.command)]

        return m
