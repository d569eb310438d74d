"""Sigmoid of the gate for every lane, by one table for positive and negative arguments."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.tables import SIGMOID, SIGMOID_ONE

__all__ = ["GATE_SHIFT", "INDEX_SHIFT_BITS", "Gate"]

GATE_SHIFT = 16
"""Shift after the multiplications of GATE: the fraction bits of G."""
INDEX_SHIFT_BITS = 4
"""Shifts of 0 to 15: more would leave nothing of 16 bits."""
TABLE_BITS = 16
"""Entries of SIGMOID are below 2**16, G reaches it."""


class Gate(wiring.Component):
    """``G = 2**16 sigmoid(x)``, in the cycle after x.

    ``i = rnd(x, shift)``, so a step of i is 1/32 if x has ``shift + 5`` fraction bits. G is 0 for
    i < -255, 65536 for i > 255, else SIGMOID[i] or, for negative i, 65536 - SIGMOID[-i].

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    x : In(data.ArrayLayout(signed(16), lanes))
        Arguments.
    shift : In(INDEX_SHIFT_BITS)
        Shift of all lanes.
    look_up : In(1)
        G of x is wanted.
    value : Out(data.ArrayLayout(TABLE_BITS + 1, lanes))
        G; not registered, and kept until the next look-up.
    """

    def __init__(self, machine: Machine):
        lanes = machine.core.lanes
        super().__init__({
            "x":       In(data.ArrayLayout(signed(16), lanes)),
            "shift":   In(INDEX_SHIFT_BITS),
            "look_up": In(1),
            "value":   Out(data.ArrayLayout(TABLE_BITS + 1, lanes)),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.table = memory = Memory(shape=TABLE_BITS, depth=len(SIGMOID), init=SIGMOID)
        for n, x in enumerate(self.x):
            read = memory.read_port()
            index, away = Signal(signed(17), name=f"index_{n}"), Signal(17, name=f"away_{n}")
            negative, beyond = Signal(name=f"negative_{n}"), Signal(name=f"beyond_{n}")
            m.d.comb += [index.eq((((x << 1) >> self.shift) + 1) >> 1), away.eq(abs(index)),
                         read.addr.eq(away), read.en.eq(self.look_up)]
            with m.If(self.look_up):
                m.d.sync += [negative.eq(index < 0), beyond.eq(away >= len(SIGMOID))]
            size = Signal(TABLE_BITS + 1, name=f"size_{n}")
            m.d.comb += [size.eq(Mux(beyond, SIGMOID_ONE, read.data)),
                         self.value[n].eq(Mux(negative, SIGMOID_ONE - size, size))]

        return m
