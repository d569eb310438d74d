"""Special-function unit: every operation of a core that is no matrix product."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.lib.bus import (
    BufferRead,
    BufferWrite,
    ConfigBus,
    done_signature,
    drain_signature,
    issue_signature,
)
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.sfu.fetch import SfuFetch
from ouroboros.hw.sfu.lanes import SfuLanes
from ouroboros.hw.sfu.pack import SfuPack
from ouroboros.hw.sfu.scalar import SfuScalar
from ouroboros.hw.sfu.track import SfuTrack

__all__ = ["Sfu"]


class Sfu(wiring.Component):
    """Executes ``Op.SFU`` instructions (``hw.params.isa``), one beat of ``lanes`` per cycle.

    ``done`` comes ``hw.params.timing.sfu.sfu_cycles`` after the acceptance of an instruction (6
    cycles after its last beat; 1 more if it reads word C, 2 more if it writes it), the next one
    is accepted after ``sfu_occupancy`` cycles: instructions of different slots overlap, in order.
    A vector may be written over one that it is made of, if each word is read by the beat that
    completes it at the latest: A, or B without wrap, at the same address with a type as wide as D's
    or wider. Addresses wrap at 12 bits, parameter words at ``param_words``.

    What the instruction's definition leaves open: an invalid element is the least value of the D
    type. EXP ignores ``track`` and takes negative t as 0. ROPE takes the low 16 bits of x. SUMSQ
    takes the low 16 bits of y, so D is I8 or I16, and saturates at 2**31 - 1. ARGMAX without a
    valid element gives the index base. PICK compares ids as int32. RSQRT reads lane 0 of C as
    unsigned, and c, Mg, Sg from parameter word lanes 0 and 1 (low and high half), 2, 3. RSQRT and
    RECIP ignore lengths, types and ``track``. A vector of no elements takes one beat's time.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    issue : In(issue_signature(machine))
        Instructions; those of one slot only after ``done`` of the one before.
    done : Out(done_signature(machine))
        Completions, in order, in the cycle of the last write. ``poison`` stays 0.
    read_a, read_b : Out(BufferRead(machine))
        A words; B words and word C.
    write : Out(BufferWrite(machine))
        D words and word C.
    drain : In(drain_signature(machine))
        Results of the array; a last beat is taken whole even if the vector ends in it.
    released : Out(1)
        Pulse after the last beat of an instruction with ``release`` was fetched, before ``done``.
    config : In(ConfigBus(machine))
        Writes ``Unit.PARAM`` and ``Unit.SILU``.
    elements : Out(range(lanes + 1))
        Elements fetched in the cycle before.
    busy : Out(1)
        Some instruction is not done.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "issue":    In(issue_signature(machine)),
            "done":     Out(done_signature(machine)),
            "read_a":   Out(BufferRead(machine)),
            "read_b":   Out(BufferRead(machine)),
            "write":    Out(BufferWrite(machine)),
            "drain":    In(drain_signature(machine)),
            "released": Out(1),
            "config":   In(ConfigBus(machine)),
            "elements": Out(range(machine.core.lanes + 1)),
            "busy":     Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.fetch = fetch = SfuFetch(self.machine)
        m.submodules.lanes = lanes = SfuLanes(self.machine)
        m.submodules.track = track = SfuTrack(self.machine)
        m.submodules.scalar = scalar = SfuScalar(self.machine)
        m.submodules.pack = pack = SfuPack(self.machine)

        for name in ("issue", "drain", "read_a", "read_b", "config"):
            connect(m, flipped(getattr(self, name)), getattr(fetch, name))
        connect(m, fetch.beat, lanes.beat)
        connect(m, fetch.scalar, scalar.operands)
        connect(m, scalar.word, pack.scalar)
        connect(m, track.c_word, pack.c_word)
        connect(m, lanes.result, pack.result)
        m.d.comb += [track.result.valid.eq(lanes.result.valid),
                     track.result.p.eq(lanes.result.p),
                     self.released.eq(fetch.released), self.elements.eq(fetch.elements)]
        connect(m, pack.write, flipped(self.write))
        connect(m, pack.done, flipped(self.done))

        in_flight = Signal(4)
        m.d.comb += self.busy.eq(in_flight != 0)
        m.d.sync += in_flight.eq(
            in_flight + (self.issue.valid & self.issue.ready) - self.done.valid)

        return m
