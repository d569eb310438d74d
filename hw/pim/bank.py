"""A bank of a DRAM chip with its processing unit."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.params.pim import BURST_BYTES, SCORE_BITS, PimParams

__all__ = ["Bank", "sums_layout"]

WORD = 8 * BURST_BYTES


def sums_layout(pim: PimParams) -> data.ArrayLayout:
    """Two int32 accumulators: a chip's part of a burst."""
    return data.ArrayLayout(signed(32), 2)


class Bank(wiring.Component):
    """Rows of columns of 8 bytes, and 8 multipliers that work on a column.

    Adder tree (scores): the products of a column are added; sums of the ``token_columns`` columns
    of a token go into the result buffer, a step a token. Accumulators (sums): a weight times each
    byte of a column is added to 8 of the accumulators. The counters that say which query, weight,
    or accumulator belongs to a column go on by themselves; WR_R sets them to 0.

    Parameters
    ----------
    pim : PimParams
        The rank.
    number : int
        Of the bank in its chip.

    Members
    -------
    act, mac, load, store : In(1)
        The bank opens ``row``; its next column goes to the unit; column ``column`` is read to
        ``word`` in the next clock; ``column`` is written.
    restart : In(1)
        WR_R: counters to 0; sums to 0 if ``value``.
    value : In(1)
        Mode of the unit: sums, not scores. Static until the next ``restart``.
    queries : In(ArrayLayout(64, query_bursts))
        Queries, ``token_columns`` words of each.
    weights : In(ArrayLayout(64, weight_depth * value_unit_bursts))
        Weights, a ring of steps: of each 8 tokens a word for each query.
    word : Out(64)
        Column that was read.
    entry, query, scores : In, In, Out(24)
        Result buffer: score of a query in a step; not registered.
    sum, sums : In(range(accumulators // 2)), Out(sums_layout(pim))
        Two accumulators; not registered.
    """

    def __init__(self, pim: PimParams, number: int):
        self.pim, self.number = pim, number
        super().__init__({
            "act": In(1), "mac": In(1), "load": In(1), "store": In(1), "restart": In(1),
            "value": In(1), "row": In(ceil_log2(pim.rows)), "column": In(ceil_log2(pim.columns)),
            "data": In(WORD),
            "queries": In(data.ArrayLayout(WORD, pim.query_bursts)),
            "weights": In(data.ArrayLayout(WORD, pim.weight_depth * pim.value_unit_bursts)),
            "word": Out(WORD),
            "entry": In(range(pim.result_depth)), "query": In(range(pim.queries)),
            "scores": Out(SCORE_BITS),
            "sum": In(range(pim.accumulators // 2)), "sums": Out(sums_layout(pim)),
        })

    def elaborate(self, platform):
        m = Module()
        pim = self.pim

        m.submodules.rows = memory = Memory(shape=WORD, depth=pim.rows * pim.columns, init=[])
        read, write = memory.read_port(), memory.write_port()
        row = Signal(ceil_log2(pim.rows))
        column = Signal(ceil_log2(pim.columns), name="column_now")
        with m.If(self.act):
            m.d.sync += row.eq(self.row)
        m.d.comb += [
            read.en.eq(self.mac | self.load),
            read.addr.eq(Cat(Mux(self.mac, column, self.column), row)),
            write.en.eq(self.store), write.addr.eq(Cat(self.column, row)),
            write.data.eq(self.data), self.word.eq(read.data)]

        # Where the column is: in a token, and in the ring of steps.
        inner = Signal(range(max(pim.score_unit_macs, pim.value_unit_macs)))
        step = Signal(range(max(pim.result_depth, pim.weight_depth)))
        last = Signal()
        m.d.comb += last.eq(inner == Mux(self.value, pim.value_unit_macs, pim.score_unit_macs) - 1)
        with m.If(self.restart):
            m.d.sync += [column.eq(0), inner.eq(0), step.eq(0)]
        with m.Elif(self.mac):
            m.d.sync += [column.eq(column + 1), inner.eq(Mux(last, 0, inner + 1))]
            with m.If(last):
                m.d.sync += step.eq(step + 1)

        # The column comes a clock later.
        here, here_inner, here_step, here_last = (
            Signal(), Signal.like(inner), Signal.like(step), Signal())
        m.d.sync += here.eq(self.mac)
        with m.If(self.mac):
            m.d.sync += [here_inner.eq(inner), here_step.eq(step), here_last.eq(last)]
        self._scores(m, here & ~self.value, here_inner, here_step, here_last, read.data)
        self._sums(m, here & self.value, here_inner, here_step, read.data)

        return m

    def _scores(self, m: Module, here, inner, step, last, word) -> None:
        """Adder tree, a partial sum for each query, and the result buffer."""
        pim, buffers = self.pim, []
        for query in range(pim.queries):
            tree = Signal(signed(2 * 8 + 3), name=f"tree_{query}")
            total = Signal(signed(SCORE_BITS), name=f"total_{query}")
            first = Signal(name=f"first_{query}")
            ended, entry = Signal(name=f"ended_{query}"), Signal.like(step, name=f"entry_{query}")
            added = Signal(name=f"added_{query}")
            at = self.queries.as_value().word_select(
                query * pim.token_columns + inner[:max(1, ceil_log2(pim.token_columns))], WORD)
            m.d.sync += added.eq(here)
            with m.If(here):
                m.d.sync += [
                    tree.eq(sum(word.word_select(n, 8).as_signed()
                                * at.word_select(n, 8).as_signed() for n in range(BURST_BYTES))),
                    first.eq(inner == 0), ended.eq(last), entry.eq(step)]
            sum_now = Signal(signed(SCORE_BITS), name=f"sum_now_{query}")
            m.d.comb += sum_now.eq(Mux(first, 0, total) + tree)
            buffer = Signal(data.ArrayLayout(SCORE_BITS, pim.result_depth), name=f"buffer_{query}")
            with m.If(added):
                m.d.sync += total.eq(sum_now)
                with m.If(ended):
                    m.d.sync += buffer[entry[:ceil_log2(pim.result_depth)]].eq(sum_now)
            buffers.append(buffer)
        with m.Switch(self.query):
            for query, buffer in enumerate(buffers):
                with m.Case(query):
                    m.d.comb += self.scores.eq(buffer[self.entry])

    def _sums(self, m: Module, here, inner, step, word) -> None:
        """Weights of the bank's tokens times the bytes of a column."""
        pim = self.pim
        # Token of a step that the column is of, and which of its columns.
        tokens = pim.value_unit_tokens // pim.step_tokens
        column = inner[:ceil_log2(pim.value_columns)] if pim.value_columns > 1 else None
        token = (inner >> ceil_log2(pim.value_columns)) * pim.step_tokens \
            + self.number // pim.spread
        index = Signal(range(pim.value_unit_tokens))
        m.d.comb += index.eq(token if tokens > 1 else self.number // pim.spread)
        octet = index[3:] if pim.value_unit_tokens > BURST_BYTES else 0
        sums = Signal(data.ArrayLayout(signed(32), pim.accumulators))
        with m.If(self.restart & self.value):
            m.d.sync += sums.eq(0)
        ring = step[:ceil_log2(pim.weight_depth)]
        for query in range(pim.queries):
            burst = (ring * (pim.value_unit_tokens // BURST_BYTES) + octet) * pim.queries + query
            weight = Signal(8, name=f"weight_{query}")
            m.d.comb += weight.eq(self.weights.as_value().word_select(burst, WORD)
                                  .word_select(index[:3], 8))
            for place in range(pim.value_columns):
                with m.If(here if column is None else here & (column == place)):
                    for n in range(BURST_BYTES):
                        one = sums[(query * pim.value_columns + place) * BURST_BYTES + n]
                        m.d.sync += one.eq(
                            one + weight * word.word_select(n, 8).as_signed())
        m.d.comb += self.sums.as_value().eq(sums.as_value().word_select(self.sum, 64))
