"""Front of the SFU: takes instructions, reads operands, unpacks them into beats."""

from amaranth import Module, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from ouroboros.hw.lib.bus import BufferRead, ConfigBus, drain_signature, issue_signature
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.sfu.beat import beat_signature, is_wide, scalar_signature
from ouroboros.hw.sfu.gate import Gate
from ouroboros.hw.sfu.unpack import Unpack
from ouroboros.hw.sfu.walk import OperandWalk

__all__ = ["SfuFetch"]


class SfuFetch(wiring.Component):
    """Operand fetch of the SFU.

    One instruction at a time is taken from ``issue`` and becomes the beats of its vector, or one
    transfer on ``scalar``. A beat leaves two cycles after it was fetched; one is fetched per cycle,
    unless it waits for ``drain``. Word C is read one cycle before the first beat.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    issue, drain, read_a, read_b, config, released, elements
        As of ``Sfu``.
    beat : Out(beat_signature(machine))
        Operands of the vector functions.
    scalar : Out(scalar_signature(machine))
        Operands of the scalar functions.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "issue":    In(issue_signature(machine)),
            "drain":    In(drain_signature(machine)),
            "read_a":   Out(BufferRead(machine)),
            "read_b":   Out(BufferRead(machine)),
            "config":   In(ConfigBus(machine)),
            "released": Out(1),
            "elements": Out(range(machine.core.lanes + 1)),
            "beat":     Out(beat_signature(machine)),
            "scalar":   Out(scalar_signature(machine)),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.walk = walk = OperandWalk(self.machine)
        m.submodules.unpack = unpack = Unpack(self.machine)
        connect(m, flipped(self.issue), walk.issue)
        connect(m, unpack.scalar, flipped(self.scalar))
        m.d.comb += [
            walk.drain_valid.eq(self.drain.valid), self.drain.ready.eq(walk.drain_ready),
            self.read_a.en.eq(walk.read_a), self.read_a.addr.eq(walk.a_addr),
            self.read_b.en.eq(walk.read_b), self.read_b.addr.eq(walk.b_addr),
            self.released.eq(walk.released), self.elements.eq(walk.elements),
            unpack.step.eq(walk.step), unpack.drain.eq(self.drain.p),
            unpack.a.eq(self.read_a.data), unpack.b.eq(self.read_b.data),
            self.beat.valid.eq(unpack.beat.valid), self.beat.p.eq(unpack.beat.p),
        ]
        self._param_memory(m, walk, unpack)
        self._silu_memory(m, unpack)
        if is_wide(self.machine):
            m.submodules.gate = gate = Gate(self.machine)
            m.d.comb += [gate.shift.eq(unpack.gate_shift), gate.look_up.eq(unpack.look_up_gate),
                         self.beat.p.gate.eq(gate.value)]
            m.d.comb += [gate.x[n].eq(unpack.x[n]) for n in range(self.machine.core.lanes)]

        return m

    def _param_memory(self, m: Module, walk, unpack) -> None:
        """Words of multipliers."""
        core = self.machine.core
        m.submodules.params = memory = Memory(
            shape=unsigned(16 * core.lanes), depth=core.param_words, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.config.valid & (self.config.unit == Unit.PARAM)),
            write.addr.eq(self.config.address), write.data.eq(self.config.data),
            read.en.eq(walk.read_param), read.addr.eq(walk.param[:ceil_log2(core.param_words)]),
            unpack.params.eq(read.data),
        ]

    def _silu_memory(self, m: Module, unpack) -> None:
        """Look up the SiLU table for every lane, in step with the registers of ``beat``."""
        m.submodules.silu = memory = Memory(shape=signed(16), depth=256, init=[])
        write = memory.write_port()
        m.d.comb += [
            write.en.eq(self.config.valid & (self.config.unit == Unit.SILU)),
            write.addr.eq(self.config.address), write.data.eq(self.config.data),
        ]
        for n in range(self.machine.core.lanes):
            read = memory.read_port()
            m.d.comb += [read.addr.eq(unpack.x[n][:8]), read.en.eq(unpack.look_up),
                         self.beat.p.silu[n].eq(read.data)]
