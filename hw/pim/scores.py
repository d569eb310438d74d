"""Scores of a rank: parts of the chips added, kept, and the largest of each head."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.params.pim import BURST_BYTES, SCORE_BITS, SCORES_A_GROUP, PimParams
from ouroboros.hw.pim.bank import WORD

__all__ = ["LEAST", "Scores", "octet_bits", "score_place", "score_word"]

PARTS = SCORES_A_GROUP * SCORE_BITS // WORD
LEAST = -1 << (SCORE_BITS - 1)
"""Stands for the maximum of no scores."""


def octet_bits(pim: PimParams) -> int:
    """Width of the number of 8 tokens."""
    return ceil_log2(pim.context // BURST_BYTES)


def score_word(pim: PimParams) -> data.ArrayLayout:
    """Scores of 8 tokens of each slot."""
    return data.ArrayLayout(data.ArrayLayout(signed(SCORE_BITS), SCORES_A_GROUP), pim.slots)


def score_place(pim: PimParams) -> data.StructLayout:
    """Address of scores of 8 tokens."""
    return data.StructLayout({
        "octet": octet_bits(pim), "query": ceil_log2(pim.queries), "half": 1})


class Scores(wiring.Component):
    """Takes bursts of scores in the order in which the result buffers are read.

    Two halves of memory, for two heads of a slot in turn.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    begin, half, tokens : In(1), In(1), In(range(context + 1))
        Scores of so many tokens come from now on, into a half.
    valid, words : In(1), In(ArrayLayout(64, chips))
        A burst: of a step, query by query, 8 banks by 8 banks, three bursts.
    read, at : In(1), In(score_place(pim))
        Reads the memory; ``scores`` in the next clock.
    scores : Out(score_word(pim))
        Scores of 8 tokens.
    complete : Out(2)
        Of a half all scores have come.
    tops : Out(signed(24)) array, by half, slot and query
        Largest score so far of valid tokens.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        self.place = score_place(pim)
        super().__init__({
            "begin": In(1), "half": In(1), "tokens": In(range(pim.context + 1)),
            "valid": In(1), "words": In(data.ArrayLayout(WORD, pim.chips)),
            "read": In(1), "at": In(self.place), "scores": Out(score_word(pim)),
            "complete": Out(2),
            "tops": Out(signed(SCORE_BITS)).array(2, pim.slots, pim.queries),
        })

    def elaborate(self, platform):
        m = Module()
        pim = self.pim
        octets = pim.banks // SCORES_A_GROUP

        half, tokens = Signal(), Signal.like(self.tokens)
        part, octet = Signal(range(PARTS)), Signal(range(max(2, octets)))
        query = Signal(range(max(2, pim.queries)))
        step = Signal(range(pim.context // pim.banks + 1))
        kept = [Signal(data.ArrayLayout(WORD, pim.chips), name=f"part_{n}")
                for n in range(PARTS - 1)]
        tops = [[[Signal(signed(SCORE_BITS), name=f"top_{h}_{slot}_{n}", init=LEAST)
                  for n in range(pim.queries)] for slot in range(pim.slots)] for h in range(2)]
        complete = Signal(2)
        m.d.comb += self.complete.eq(complete)

        # A burst: kept, or with those before it 8 scores.
        whole = Signal(score_word(pim))
        here, place, first = Signal(), Signal(self.place), Signal(range(pim.context + 1))
        m.d.sync += here.eq(self.valid & (part == PARTS - 1))
        with m.If(self.valid):
            m.d.sync += part.eq(Mux(part == PARTS - 1, 0, part + 1))
            for n, one in enumerate(kept):
                with m.If(part == n):
                    m.d.sync += one.eq(self.words)
            with m.If(part == PARTS - 1):
                m.d.sync += [place.half.eq(half), place.query.eq(query),
                             place.octet.eq(step * octets + octet),
                             first.eq(step * pim.banks + octet * SCORES_A_GROUP)]
                for slot in range(pim.slots):
                    chips = range(slot * pim.head_chips, (slot + 1) * pim.head_chips)
                    lines = [Cat(*(one[chip] for one in kept), self.words[chip]) for chip in chips]
                    m.d.sync += [whole[slot][n].eq(sum(
                        line.word_select(n, SCORE_BITS).as_signed() for line in lines))
                        for n in range(SCORES_A_GROUP)]
                with m.If(octet != octets - 1):
                    m.d.sync += octet.eq(octet + 1)
                with m.Else():
                    m.d.sync += octet.eq(0)
                    with m.If(query != pim.queries - 1):
                        m.d.sync += query.eq(query + 1)
                    with m.Else():
                        m.d.sync += [query.eq(0), step.eq(step + 1)]

        m.submodules.memory = memory = Memory(
            shape=score_word(pim), depth=1 << self.place.size, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [write.addr.eq(place), write.data.eq(whole), write.en.eq(here),
                     read.addr.eq(self.at), read.en.eq(self.read), self.scores.eq(read.data)]

        for slot in range(pim.slots):
            best = Signal(signed(SCORE_BITS), name=f"best_{slot}")
            self._best(m, best, [Mux(first + lane < tokens, whole[slot][lane], LEAST)
                                 for lane in range(SCORES_A_GROUP)], f"{slot}")
            for h in range(2):
                for n in range(pim.queries):
                    with m.If(here & (place.half == h) & (place.query == n)
                              & (best > tops[h][slot][n])):
                        m.d.sync += tops[h][slot][n].eq(best)
        with m.If(here):
            with m.If((step * pim.banks >= tokens) & (query == 0) & (octet == 0)):
                m.d.sync += complete.bit_select(half, 1).eq(1)
        for h in range(2):
            for slot in range(pim.slots):
                for n in range(pim.queries):
                    m.d.comb += self.tops[h][slot][n].eq(tops[h][slot][n])
                    with m.If(self.begin & (self.half == h)):
                        m.d.sync += tops[h][slot][n].eq(LEAST)
        with m.If(self.begin):
            m.d.sync += [half.eq(self.half), tokens.eq(self.tokens), part.eq(0), octet.eq(0),
                         query.eq(0), step.eq(0), complete.bit_select(self.half, 1).eq(0)]

        return m

    def _best(self, m: Module, best: Signal, values: list, name: str) -> None:
        """The largest of a power of two of values."""
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=True)
            values = []
            for n, (a, b) in enumerate(pairs):
                one = Signal(signed(SCORE_BITS), name=f"best_{name}_{len(values)}_{n}")
                left, right = Signal.like(one, name=f"a_{name}"), Signal.like(one, name=f"b_{name}")
                m.d.comb += [left.eq(a), right.eq(b), one.eq(Mux(left > right, left, right))]
                values.append(one)
        m.d.comb += best.eq(values[0])
