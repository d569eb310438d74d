"""A DRAM chip: banks with processing units, the shared buffer, and what the data bus sees."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.dram import Op
from ouroboros.hw.params.pim import SCORES_A_GROUP, PimParams
from ouroboros.hw.pim.bank import WORD, Bank
from ouroboros.hw.pim.command import command_layout, score_address, sum_address

__all__ = ["Chip"]


class Chip(wiring.Component):
    """Does what commands say, at once; that data take longer is for who sends the commands.

    Bytes of a burst stand in ``data`` with its command, and in ``word`` two clocks after it.
    A shared or result buffer is written and read in the clock of the command. Whoever uses them
    must keep to the times of ``DramTiming``, which are longer.

    Parameters
    ----------
    pim : PimParams
        The rank.
    library : Library
        Where the bank is defined.

    Members
    -------
    command : In(command_layout(pim))
        Command of this clock.
    data : In(64)
        The chip's part of the burst of a WR or WR_SB.
    word : Out(64)
        The chip's part of the burst of the RD or RD_RB two clocks ago.
    """

    def __init__(self, pim: PimParams, library: Library):
        self.pim, self.library = pim, library
        super().__init__({"command": In(command_layout(pim)), "data": In(WORD), "word": Out(WORD)})

    def elaborate(self, platform):
        m = Module()
        pim, command = self.pim, self.command
        op = command.op

        half, value = Signal(), Signal()
        begin = Signal()
        m.d.comb += begin.eq(op == Op.WR_R)
        with m.If(begin):
            m.d.sync += [half.eq(command.half), value.eq(command.value)]
        queries = [Signal(data.ArrayLayout(WORD, pim.query_bursts), name=f"queries_{n}")
                   for n in range(2)]
        weights = Signal(data.ArrayLayout(WORD, pim.weight_depth * pim.value_unit_bursts))
        loaded, loaded_half, loaded_at = Signal(), Signal(), Signal.like(command.column)
        loaded_bank = Signal(pim.banks)
        m.d.sync += loaded.eq(op == Op.LD_SB)
        with m.If(op == Op.LD_SB):
            m.d.sync += [loaded_half.eq(command.half), loaded_at.eq(command.column),
                         loaded_bank.eq(command.banks)]

        score, total = (layout(command.column[:layout.size])
                        for layout in (score_address(pim), sum_address(pim)))
        banks, words = [], []
        for number in range(pim.banks):
            bank = self.library.instance(f"pim_bank_{number // pim.spread * pim.spread}",
                                         lambda number=number: Bank(pim, number),
                                         params=(pim, number // pim.spread))
            m.submodules[f"bank_{number}"] = bank
            banks.append(bank)
            here = command.banks[number]
            m.d.comb += [
                bank.act.eq((op == Op.ACT) & here), bank.mac.eq((op == Op.MAC) & here),
                bank.load.eq(((op == Op.RD) | (op == Op.LD_SB)) & here),
                bank.store.eq((op == Op.WR) & here), bank.restart.eq(begin),
                bank.row.eq(command.row),
                bank.column.eq(command.column), bank.data.eq(self.data),
                # In the clock of WR_R the new mode, then the kept one.
                bank.value.eq((begin & command.value) | (~begin & value)),
                bank.queries.eq((queries[1].as_value() & half.replicate(len(queries[1].as_value())))
                                | (queries[0].as_value()
                                   & (~half).replicate(len(queries[0].as_value())))),
                bank.weights.eq(weights), bank.entry.eq(score.entry), bank.query.eq(score.query),
                bank.sum.eq(total.sum)]
            words.append(bank.word)

        with m.If((op == Op.WR_SB) & command.value):
            m.d.sync += weights[command.column].eq(self.data)
        for n, buffer in enumerate(queries):
            with m.If((op == Op.WR_SB) & ~command.value & (command.half == n)):
                m.d.sync += buffer[command.column].eq(self.data)
            with m.If(loaded & (loaded_half == n)):
                m.d.sync += buffer[loaded_at & (pim.query_bursts - 1)].eq(
                    _chosen(loaded_bank, words))

        # The clock after the command: buffers registered, the column from its bank.
        buffered = Signal(WORD)
        read, read_bank = Signal(), Signal(pim.banks)
        groups = Cat(bank.scores for bank in banks).word_select(
            score.octet if pim.banks > SCORES_A_GROUP else 0, 3 * WORD)
        sums = Cat(bank.sums.as_value() for bank in banks).word_select(total.bank, WORD)
        m.d.sync += read.eq(op == Op.RD)
        with m.If(op == Op.RD):
            m.d.sync += read_bank.eq(command.banks)
        with m.If(op == Op.RD_RB):
            with m.If(command.value):
                m.d.sync += buffered.eq(sums)
            with m.Else():
                m.d.sync += buffered.eq(groups.word_select(score.part, WORD))
        with m.If(read):
            m.d.sync += self.word.eq(_chosen(read_bank, words))
        with m.Else():
            m.d.sync += self.word.eq(buffered)

        return m


def _chosen(banks, words: list):
    """Word of the one bank in a set."""
    found = words[0] & banks[0].replicate(WORD)
    for n, word in enumerate(words[1:], 1):
        found |= word & banks[n].replicate(WORD)
    return found
