"""Context of heads: sums of all banks added, then divided by the sum of the weights."""

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.params.pim import BURST_BYTES, SCORE_BITS, PimParams
from ouroboros.hw.params.tables import RECIP
from ouroboros.hw.pim.bank import WORD
from ouroboros.hw.pim.softmax import DIGIT_BITS, Part

__all__ = ["Sums", "context_layout"]

PAIRS = BURST_BYTES // 2


def context_layout(pim: PimParams) -> data.StructLayout:
    """A word of context: two elements of each chip, of one query.

    Word w of a query holds, of chip c, dimensions ``head_chips * (2 * w + n) + c % head_chips``,
    n = 0 and 1, of the head in slot ``c // head_chips``. ``sums`` are the int32 sums, ``values``
    the normalised int8; ``den`` and ``top`` are the sum of the weights and the largest score.
    """
    return data.StructLayout({
        "query":  ceil_log2(pim.queries),
        "word":   ceil_log2(pim.token_columns * PAIRS),
        "sums":   data.ArrayLayout(signed(32), 2 * pim.chips),
        "values": data.ArrayLayout(signed(8), 2 * pim.chips),
        "den":    data.ArrayLayout(unsigned(32), pim.slots),
        "top":    data.ArrayLayout(signed(SCORE_BITS), pim.slots),
    })


class Sums(wiring.Component):
    """Takes bursts of accumulators in the order in which banks are read, then gives the context.

    ``values = sat8(rnd(sums * RECIP[idx], 16 + n))``, n = floor(log2(den)): step 7 of the
    numerics. After a pass with the upper digits of the weights the sums stay, and the next pass
    adds to 64 times them.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    begin, part, den, top : In
        Sums of a phase come from now on; ``den`` and ``top`` as of ``Softmax``.
    valid, words : In(1), In(ArrayLayout(64, chips))
        A burst: bank by bank, accumulator pairs in order.
    context : Out(stream of context_layout(pim))
        The context, query by query, after all banks.
    idle : Out(1)
        A new phase may begin.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        super().__init__({
            "begin": In(1), "part": In(Part), "den": In(32).array(pim.slots, pim.queries),
            "top": In(signed(SCORE_BITS)).array(pim.slots, pim.queries),
            "valid": In(1), "words": In(data.ArrayLayout(WORD, pim.chips)),
            "context": Out(stream.Signature(context_layout(pim))), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        pim = self.pim

        part = Signal(Part)
        dens = [[Signal(32, name=f"den_{slot}_{n}") for n in range(pim.queries)]
                for slot in range(pim.slots)]
        tops = [[Signal(signed(SCORE_BITS), name=f"top_{slot}_{n}") for n in range(pim.queries)]
                for slot in range(pim.slots)]
        bank, pair = Signal(range(pim.banks)), Signal(range(pim.accumulators // 2))
        depth = pim.query_bursts * PAIRS
        m.submodules.memory = memory = Memory(
            shape=data.ArrayLayout(signed(32), 2 * pim.chips), depth=depth, init=[])
        read, write = memory.read_port(domain="comb"), memory.write_port()
        out = Signal(range(depth + 1))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                with m.If(self.begin):
                    m.d.sync += [part.eq(self.part), bank.eq(0), pair.eq(0), out.eq(0)]
                    for slot in range(pim.slots):
                        for n in range(pim.queries):
                            m.d.sync += [dens[slot][n].eq(self.den[slot][n]),
                                         tops[slot][n].eq(self.top[slot][n])]
                    m.next = "ADD"
            with m.State("ADD"):
                # Place of a pair: which query and column of a token, then which half of it.
                column = (pair >> 2) * pim.spread + (bank & (pim.spread - 1))
                place = column * PAIRS + pair[:2]
                m.d.comb += [read.addr.eq(place), write.addr.eq(place), write.en.eq(self.valid)]
                first = Signal()
                m.d.comb += first.eq(bank < pim.spread)
                flat = self.words.as_value()
                for n in range(2 * pim.chips):
                    old = read.data[n]
                    base = Mux(first, Mux(part == Part.LOW, (old << DIGIT_BITS)[:32].as_signed(),
                                          0), old)
                    m.d.comb += write.data[n].eq(base + flat.word_select(n, 32).as_signed())
                with m.If(self.valid):
                    with m.If(pair != pim.accumulators // 2 - 1):
                        m.d.sync += pair.eq(pair + 1)
                    with m.Else():
                        m.d.sync += [pair.eq(0), bank.eq(bank + 1)]
                        with m.If(bank == pim.banks - 1):
                            with m.If(part == Part.HIGH):
                                m.next = "IDLE"
                            with m.Else():
                                m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += read.addr.eq(out)
                self._give(m, read.data, out, dens, tops)
                with m.If((out == depth) & ~self.context.valid):
                    m.next = "IDLE"

        return m

    def _give(self, m: Module, sums: data.View, out: Signal, dens: list, tops: list) -> None:
        """Registers a word of context whenever the last one is taken."""
        pim, words = self.pim, self.pim.token_columns * PAIRS
        bits, depth = ceil_log2(words), pim.query_bursts * PAIRS
        valid, payload = Signal(name="given"), Signal(context_layout(pim))
        m.d.comb += [self.context.valid.eq(valid), self.context.payload.eq(payload)]
        m.submodules.recip = recip = Memory(shape=unsigned(16), depth=256, init=list(RECIP))
        with m.If(~valid | self.context.ready):
            m.d.sync += valid.eq(out != depth)
            with m.If(out != depth):
                m.d.sync += [out.eq(out + 1), payload.query.eq(out >> bits),
                             payload.word.eq(out[:bits]), payload.sums.eq(sums)]
                for slot in range(pim.slots):
                    den, top = Signal(32, name=f"den_{slot}"), Signal(
                        signed(SCORE_BITS), name=f"top_now_{slot}")
                    with m.Switch(out >> bits):
                        for n in range(pim.queries):
                            with m.Case(n):
                                m.d.comb += [den.eq(dens[slot][n]), top.eq(tops[slot][n])]
                    m.d.sync += [payload.den[slot].eq(den), payload.top[slot].eq(top)]
                    log2 = Signal(range(32), name=f"log2_{slot}")
                    for n in range(32):
                        with m.If(den[n]):
                            m.d.comb += log2.eq(n)
                    port = recip.read_port(domain="comb")
                    m.d.comb += port.addr.eq(((den << 8) >> log2)[:8])
                    for n in range(2 * pim.head_chips):
                        at = slot * 2 * pim.head_chips + n
                        product = Signal(signed(49), name=f"product_{at}")
                        turn = Signal(signed(49), name=f"turn_{at}")
                        m.d.comb += [
                            product.eq(sums[at] * Mux(den == 0, 0, port.data)),
                            turn.eq(((product >> (15 + log2)) + 1) >> 1)]
                        m.d.sync += payload.values[at].eq(
                            Mux(turn > 127, 127, Mux(turn < -127, -127, turn)))
