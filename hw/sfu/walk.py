"""Walk of the SFU over the operands of an instruction."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.bus import issue_signature
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.isa import SFU16, BMode, Fn, MMode, Track, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import WORD_ADDRESS_BITS
from ouroboros.hw.sfu.beat import is_wide, last_part, sfu_fields, tag_layout

__all__ = ["OperandWalk", "decoded_layout", "step_layout"]

SFU_FIELDS = struct(SFU16)
PART_BITS = 2
"""A word holds at most four beats."""


def decoded_layout() -> data.StructLayout:
    """What follows from an instruction alone.

    ``scalar``: a scalar function; ``read_c``, ``write_c``: uses word C; ``read_b``: has a B
    operand, of type ``b_type``, which under ``digits`` is that of the low digits.
    """
    return data.StructLayout({
        "scalar": 1, "read_c": 1, "write_c": 1, "read_b": 1, "b_type": SFU_FIELDS["d_type"].shape})


def step_layout(machine: Machine) -> data.StructLayout:
    """What is fetched in a cycle: the beat ``tag`` describes, or word C with ``read_c``.

    ``a_part``, ``b_part`` are the beat's places in the words of A and B, of types ``a_type`` and
    ``b_type``; with ``drain`` A comes from the array. In ``tag``, ``valid`` and ``top`` are left
    to be filled in.
    """
    return data.StructLayout({
        "fetch":  1,
        "read_c": 1,
        "scalar": 1,
        "drain":  1,
        "m_mode": SFU_FIELDS["m_mode"].shape,
        "a_type": SFU_FIELDS["a_type"].shape,
        "b_type": decoded_layout()["b_type"].shape,
        "a_part": PART_BITS,
        "b_part": PART_BITS,
        "tag":    tag_layout(machine),
    } | ({"less": 1} if is_wide(machine) else {}))


class OperandWalk(wiring.Component):
    """Takes one instruction at a time and says what to read for it, cycle after cycle.

    Word C comes first, if it is needed; then one beat of A, B and multipliers each cycle, unless
    the beat waits for the drain stream. After an instruction that writes word C, a cycle is left
    free for it on the write port, under ``digits`` one after each whole word of high digits for
    that of low ones.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    issue : In(issue_signature(machine))
        Instructions.
    drain_valid, drain_ready : In(1), Out(1)
        Handshake of the drain stream.
    read_a, a_addr, read_b, b_addr, read_param, param : Out
        Words to be read: A; B or C; multipliers.
    step : Out(step_layout(machine))
        What these words are.
    released : Out(1)
        The drain stream is released; in the cycle after the last step.
    elements : Out
        Elements of the step before.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        super().__init__({
            "issue":       In(issue_signature(machine)),
            "drain_valid": In(1),
            "drain_ready": Out(1),
            "read_a":      Out(1),
            "a_addr":      Out(WORD_ADDRESS_BITS),
            "read_b":      Out(1),
            "b_addr":      Out(WORD_ADDRESS_BITS),
            "read_param":  Out(1),
            "param":       Out(SFU_FIELDS["param"].shape),
            "step":        Out(step_layout(machine)),
            "released":    Out(1),
            "elements":    Out(range(machine.core.lanes + 1)),
        })

    def elaborate(self, platform):
        m = Module()

        issue, step, lanes = self.issue.p, self.step, self.machine.core.lanes
        fields, wide = sfu_fields(self.machine), is_wide(self.machine)
        issued = data.View(fields, issue.instruction)
        decoded = _decode(m, issued, wide=wide)
        length = Signal(SFU_FIELDS["length"].shape)
        m.d.comb += length.eq(Mux(issued.tokens, issue.tokens, issued.length))

        ins, use = Signal(fields), Signal(decoded_layout())
        slot, left = Signal.like(issue.slot), Signal.like(length)
        index, empty, first, last = Signal.like(step.tag.index), Signal(), Signal(), Signal()
        b_addr, b_start, c_addr, d_addr = (Signal(WORD_ADDRESS_BITS, name=name) for name in
                                           ("b_word", "b_start", "c_addr", "d_addr"))
        a_part, a_last, b_part, b_last = (Signal(PART_BITS, name=name) for name in
                                          ("a_part", "a_last", "b_part", "b_last"))
        b_beat, fetch = Signal.like(ins.b_wrap), step.fetch
        last_part(m, ins.a_type, a_last)
        last_part(m, use.b_type, b_last)
        m.d.comb += last.eq(left <= lanes)

        with m.If(fetch):
            m.d.sync += [first.eq(0), left.eq(left - lanes), index.eq(index + lanes),
                         a_part.eq(a_part + 1), b_part.eq(b_part + 1), b_beat.eq(b_beat + 1)]
            with m.If(a_part == a_last):
                m.d.sync += [a_part.eq(0), self.a_addr.eq(self.a_addr + 1)]
            with m.If(b_part == b_last):
                m.d.sync += [b_part.eq(0), b_addr.eq(b_addr + 1)]
            with m.If(b_beat + 1 == ins.b_wrap):
                m.d.sync += [b_part.eq(0), b_addr.eq(b_start), b_beat.eq(0)]
            with m.If(ins.m_mode == MMode.PARAM):
                m.d.sync += self.param.eq(self.param + 1)

        m.d.sync += [self.released.eq(0), self.elements.eq(0)]
        with m.If(fetch):
            m.d.sync += self.elements.eq(Mux(last, left, lanes))
        with m.FSM():
            with m.State("Accept"):
                m.d.comb += self.issue.ready.eq(1)
                with m.If(self.issue.valid):
                    m.d.sync += [
                        ins.eq(issued), use.eq(decoded), slot.eq(issue.slot), left.eq(length),
                        empty.eq(length == 0), first.eq(1), b_beat.eq(0), a_part.eq(0),
                        b_part.eq(0), self.a_addr.eq(issue.base + issued.a_addr),
                        b_addr.eq(issue.base + issued.b_addr),
                        b_start.eq(issue.base + issued.b_addr),
                        c_addr.eq(issue.base + issued.c_addr),
                        d_addr.eq(issue.base + issued.d_addr),
                        self.param.eq(issued.param),
                        index.eq(Cat(issued.b_addr, issued.b_wrap)),
                    ]
                    m.next = "Fetch"
                    with m.If(decoded.read_c):
                        m.next = "ReadC"
            with m.State("ReadC"):
                m.d.comb += step.read_c.eq(1)
                m.next = "Fetch"
                with m.If(use.scalar):
                    m.d.sync += self.released.eq(ins.release)
                    m.next = "Accept"
            with m.State("Fetch"):
                m.d.comb += [fetch.eq(empty | ~ins.a_array | self.drain_valid),
                             self.drain_ready.eq(ins.a_array & ~empty)]
                with m.If(fetch & last):
                    m.d.sync += self.released.eq(ins.release)
                    m.next = "Accept"
                    with m.If(use.write_c):
                        m.next = "Hold"
                if wide:
                    with m.Elif(fetch & ins.digits & (b_part == b_last)):
                        m.next = "Spread"
            if wide:
                with m.State("Spread"):  # leaves the write port a free cycle for low digits
                    m.next = "Fetch"
            with m.State("Hold"):  # leaves the write port a free cycle for word C
                m.next = "Accept"

        multiplies = (ins.m_mode == MMode.PARAM) | (ins.m_mode == MMode.FIXED)
        m.d.comb += [
            self.read_a.eq(fetch & ~ins.a_array & ~empty & (a_part == 0)),
            self.read_b.eq(step.read_c | (fetch & use.read_b & ~empty & (b_part == 0))),
            self.b_addr.eq(Mux(step.read_c, c_addr, b_addr)),
            self.read_param.eq(step.read_c | (fetch & multiplies)),
            step.scalar.eq(use.scalar), step.drain.eq(ins.a_array), step.m_mode.eq(ins.m_mode),
            step.a_type.eq(ins.a_type), step.b_type.eq(use.b_type),
            step.a_part.eq(a_part), step.b_part.eq(b_part),
        ]
        if wide:
            m.d.comb += step.less.eq(ins.less)
        self._tag(m, ins, use, slot=slot, left=left, empty=empty, first=first, last=last,
                  index=index, c_addr=c_addr, d_addr=d_addr,
                  **({"low_addr": b_addr} if wide else {}))

        return m

    def _tag(self, m, ins, use, *, left, last, **registers):
        """What the beat carries along."""
        tag, lanes = self.step.tag, self.machine.core.lanes
        m.d.comb += [
            *(tag[name].eq(value) for name, value in registers.items()),
            *(tag[name].eq(ins[name]) for name in ("fn", "d_type", "wide", "shift", "track")),
            tag.c_write.eq(use.write_c), tag.last.eq(last),
            tag.add.eq((ins.fn == Fn.MAC) & (ins.b_mode == BMode.ADD32)),
            tag.residual.eq((ins.fn == Fn.MAC) & (ins.b_mode == BMode.RESIDUAL16)),
            tag.live.eq(Mux(last, (1 << left[:lanes.bit_length()]) - 1, -1)),
        ]
        if is_wide(self.machine):
            m.d.comb += [tag.digits.eq(ins.digits), tag.magnitude.eq(ins.magnitude)]
            with m.If((ins.fn == Fn.MAC) & (ins.b_mode == BMode.RESIDUAL32)):
                m.d.comb += tag.residual.eq(1)


def _decode(m: Module, ins: data.View, *, wide: bool) -> data.View:
    """What ``decoded_layout`` says of an instruction."""
    decoded = Signal(decoded_layout())
    scalar = (ins.fn == Fn.RSQRT) | (ins.fn == Fn.RECIP)
    read_c = decoded.scalar | (ins.fn == Fn.EXP) | (ins.m_mode == MMode.SCALAR)
    if wide:
        scalar, read_c = scalar | (ins.fn == Fn.EXPONENT), read_c | ins.less
    m.d.comb += [
        decoded.scalar.eq(scalar),
        decoded.read_c.eq(read_c),
        decoded.write_c.eq((ins.fn == Fn.EXP) | (ins.track != Track.NONE)),
        decoded.b_type.eq(Type.I32),
    ]
    with m.Switch(ins.fn):
        with m.Case(Fn.MAC):
            m.d.comb += decoded.read_b.eq(ins.b_mode != BMode.NONE)
            with m.If(ins.b_mode == BMode.RESIDUAL16):
                m.d.comb += decoded.b_type.eq(Type.I16)
        with m.Case(Fn.MAX, Fn.PICK):
            m.d.comb += decoded.read_b.eq(1)
        with m.Case(Fn.ROPE):
            m.d.comb += [decoded.read_b.eq(1), decoded.b_type.eq(Type.I16)]
        with m.Case(Fn.SILU):
            m.d.comb += [decoded.read_b.eq(1), decoded.b_type.eq(Type.I8)]
        if wide:
            with m.Case(Fn.GATE):
                m.d.comb += [decoded.read_b.eq(1), decoded.b_type.eq(Type.I16)]
    if wide:
        with m.If(ins.digits):
            m.d.comb += decoded.b_type.eq(Type.I8)
    return decoded
