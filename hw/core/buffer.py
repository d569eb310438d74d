"""The buffer of a core: operands, scratch and results of all token slots."""

from amaranth import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from ouroboros.hw.lib.bus import BufferRead, BufferWrite
from ouroboros.hw.params.machine import Machine

__all__ = ["Buffer"]

READERS = ("array", "sfu_a", "sfu_b", "send")
WRITERS = ("ingress", "sfu")


class Buffer(wiring.Component):
    """Memory of ``buffer_words`` words with two write ports and four read ports.

    A word written in one cycle is read from the next cycle on; a read of it in the very cycle of
    the write gives the old word. No port waits, and none looks at another: two writes to the same
    flit of a word in one cycle leave it undefined. Neither happens, because a slot's operands are
    read only after their last packet was reported (``arrived``, with its last write), and because
    a unit reads what another wrote only after that unit's ``done``. Addresses past the end wrap.
    The reset value of every word is 0.

    Parameters
    ----------
    machine : Machine
        ``buffer_words``, word and flit widths.

    Members
    -------
    ingress, sfu : In(BufferWrite)
        Writers.
    array, sfu_a, sfu_b, send : In(BufferRead)
        Readers; data comes one cycle after ``en`` and stays while ``en`` is 0.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            **{name: In(BufferWrite(machine)) for name in WRITERS},
            **{name: In(BufferRead(machine)) for name in READERS},
        })

    def elaborate(self, platform):
        m = Module()

        core = self.machine.core
        m.submodules.memory = memory = Memory(shape=core.word_bits, depth=core.buffer_words,
                                              init=[])
        flit_bits = self.machine.noc.flit_bits
        for name in WRITERS:
            port, bus = memory.write_port(granularity=flit_bits), getattr(self, name)
            m.d.comb += [
                port.addr.eq(bus.addr),
                port.data.eq(bus.data),
                port.en.eq(Mux(bus.en, bus.mask, 0)),
            ]
        for name in READERS:
            port, bus = memory.read_port(), getattr(self, name)
            m.d.comb += [
                port.addr.eq(bus.addr),
                port.en.eq(bus.en),
                bus.data.eq(port.data),
            ]

        return m
