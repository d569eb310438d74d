"""Weights of a head from its scores: the second pass, once the largest score is known."""

from enum import IntEnum

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.queue import Queue
from ouroboros.hw.params.pim import BURST_BYTES, SCORE_BITS, PimParams
from ouroboros.hw.params.tables import EXP, EXP12
from ouroboros.hw.pim.bank import WORD
from ouroboros.hw.pim.scores import octet_bits, score_place, score_word

__all__ = ["DIGIT_BITS", "SOFTMAX_LATENCY", "Part", "Softmax", "head_layout"]

DEPTH = 8
SOFTMAX_LATENCY = 5
"""Clocks from ``begin`` to the first weights."""
DIGIT_BITS = 6
"""Of the two digits of a weight of 12 bits."""


class Part(IntEnum):
    """Which weights a pass over V takes."""

    WHOLE = 0
    """Of 7 bits: one pass."""
    HIGH = 1
    """Upper digit of 12 bits: the first of two passes."""
    LOW = 2
    """Lower digit of 12 bits: the second one."""


def head_layout(pim: PimParams) -> data.StructLayout:
    """What the weights of a phase are made by: ``me`` and ``se`` of step 6 of the numerics.

    ``me`` is by slot and query, and so is ``floor``: the largest score of the same head elsewhere;
    -2**23 if all of it is here.
    """
    return data.StructLayout({
        "tokens": range(pim.context + 1), "half": 1, "part": Part,
        "me": data.ArrayLayout(data.ArrayLayout(16, pim.queries), pim.slots), "se": 6,
        "floor": data.ArrayLayout(data.ArrayLayout(signed(SCORE_BITS), pim.queries), pim.slots)})


class Softmax(wiring.Component):
    """``e = EXP[min(rnd((m - s) * me, se), 255)]``, 8 tokens of each slot a clock.

    m is the largest score of the whole head, so nothing is ever rescaled, and sums of parts of a
    head, wherever they are made, add up.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    begin, head, octets : In(1), In(head_layout(pim)), In(unsigned)
        Make the weights of ``head``, padded with 0 to so many times 8 tokens.
    read, at, scores, tops
        As of ``Scores``.
    weights : Out(stream of ArrayLayout(64, slots))
        Of 8 tokens the bytes of a query; queries in turn.
    den : Out(32) array, by slot and query
        Sum of all weights so far; of both digits, in the pass of the lower one.
    top : Out(signed(24)) array, by slot and query
        m.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        self.place = score_place(pim)
        super().__init__({
            "begin": In(1), "head": In(head_layout(pim)), "octets": In(octet_bits(pim) + 1),
            "read": Out(1), "at": Out(self.place), "scores": In(score_word(pim)),
            "tops": In(signed(SCORE_BITS)).array(2, pim.slots, pim.queries),
            "weights": Out(stream.Signature(data.ArrayLayout(WORD, pim.slots))),
            "den": Out(32).array(pim.slots, pim.queries),
            "top": Out(signed(SCORE_BITS)).array(pim.slots, pim.queries),
        })

    def elaborate(self, platform):
        m = Module()
        pim = self.pim
        lanes = range(BURST_BYTES)

        head = Signal(head_layout(pim))
        octet, octets = Signal(octet_bits(pim) + 1), Signal(octet_bits(pim) + 1)
        query = Signal(range(max(2, pim.queries)))
        pending = Signal(range(DEPTH + 1))
        m.submodules.queue = queue = Queue(data.ArrayLayout(WORD, pim.slots), DEPTH)
        wiring.connect(m, queue.o, wiring.flipped(self.weights))
        taken = self.weights.valid & self.weights.ready
        issue = Signal()
        m.d.comb += [
            issue.eq((octet != octets) & (pending != DEPTH)), self.read.eq(issue),
            self.at.octet.eq(octet), self.at.query.eq(query), self.at.half.eq(head.half)]
        m.d.sync += pending.eq(pending + issue - taken)
        with m.If(issue):
            with m.If(query != pim.queries - 1):
                m.d.sync += query.eq(query + 1)
            with m.Else():
                m.d.sync += [query.eq(0), octet.eq(octet + 1)]

        # Largest score of the whole head, from one phase to the next.
        tops = [[Signal(signed(SCORE_BITS), name=f"whole_top_{slot}_{n}")
                 for n in range(pim.queries)] for slot in range(pim.slots)]
        dens = [[Signal(32, name=f"den_{slot}_{n}") for n in range(pim.queries)]
                for slot in range(pim.slots)]
        for slot in range(pim.slots):
            for n in range(pim.queries):
                own = Mux(self.head.half, self.tops[1][slot][n], self.tops[0][slot][n])
                other = self.head.floor[slot][n]
                m.d.comb += [self.den[slot][n].eq(dens[slot][n]),
                             self.top[slot][n].eq(tops[slot][n])]
                with m.If(self.begin):
                    m.d.sync += tops[slot][n].eq(Mux(own > other, own, other))

        # Stages: scores are there; product; table.
        stages = ("scores", "product", "table")
        here = [Signal(name=f"{stage}_here") for stage in stages]
        which = [Signal.like(query, name=f"{stage}_query") for stage in stages]
        live = [Signal(BURST_BYTES, name=f"{stage}_live") for stage in stages]
        m.d.sync += [here[0].eq(issue), which[0].eq(query)]
        m.d.sync += [live[0][n].eq(octet * BURST_BYTES + n < head.tokens) for n in lanes]
        for n in (1, 2):
            m.d.sync += [here[n].eq(here[n - 1]), which[n].eq(which[n - 1]),
                         live[n].eq(live[n - 1])]
        m.submodules.exp = exp = Memory(shape=unsigned(7), depth=256, init=list(EXP))
        m.submodules.exp12 = exp12 = Memory(shape=unsigned(12), depth=256, init=list(EXP12))
        for slot in range(pim.slots):
            top = Signal(signed(SCORE_BITS), name=f"top_now_{slot}")
            me = Signal(16, name=f"me_now_{slot}")
            with m.Switch(which[0]):
                for n in range(pim.queries):
                    with m.Case(n):
                        m.d.comb += [top.eq(tops[slot][n]), me.eq(head.me[slot][n])]
            word, total = [], []
            for lane in lanes:
                product = Signal(SCORE_BITS + 1 + 16, name=f"product_{slot}_{lane}")
                with m.If(here[0]):
                    m.d.sync += product.eq(
                        (top - self.scores[slot][lane])[:SCORE_BITS + 1] * me)
                turn = Signal(SCORE_BITS + 1 + 16 + 1, name=f"turn_{slot}_{lane}")
                m.d.comb += turn.eq((((product << 1) >> head.se) + 1) >> 1)
                ports = exp.read_port(), exp12.read_port()
                for port in ports:
                    m.d.comb += [port.en.eq(here[1]), port.addr.eq(Mux(turn > 255, 255, turn))]
                coarse, fine = (Mux(live[2][lane], port.data, 0) for port in ports)
                word.append(Mux(head.part == Part.WHOLE, coarse, Mux(
                    head.part == Part.HIGH, fine >> DIGIT_BITS, fine[:DIGIT_BITS])))
                total.append(Mux(head.part == Part.WHOLE, coarse,
                                 Mux(head.part == Part.LOW, fine, 0)))
            for lane, one in enumerate(word):
                byte = Signal(8, name=f"weight_{slot}_{lane}")
                m.d.comb += [byte.eq(one),
                             queue.i.payload[slot].word_select(lane, 8).eq(byte)]
            for n in range(pim.queries):
                with m.If(here[2] & (which[2] == n)):
                    m.d.sync += dens[slot][n].eq(dens[slot][n] + sum(total))
        m.d.comb += queue.i.valid.eq(here[2])

        with m.If(self.begin):
            m.d.sync += [head.eq(self.head), octets.eq(self.octets), octet.eq(0), query.eq(0)]
            m.d.sync += [one.eq(0) for row in dens for one in row]

        return m
