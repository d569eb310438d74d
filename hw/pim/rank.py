"""A rank: chips with processing units, and the rank's own unit and controller in the buffer."""

from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.lib.library import Library
from ouroboros.hw.lib.queue import Queue
from ouroboros.hw.params.dram import rule_names
from ouroboros.hw.params.pim import SCORE_BITS, PimParams
from ouroboros.hw.pim.bank import WORD
from ouroboros.hw.pim.beats import BeatsToBursts, BurstsToBeats
from ouroboros.hw.pim.checker import TimingChecker
from ouroboros.hw.pim.chip import Chip
from ouroboros.hw.pim.coarse import CoarseOrder
from ouroboros.hw.pim.controller import Controller
from ouroboros.hw.pim.job import job_layout
from ouroboros.hw.pim.relayout import Relayout
from ouroboros.hw.pim.returns import Kind, Returns
from ouroboros.hw.pim.scores import Scores
from ouroboros.hw.pim.softmax import Softmax
from ouroboros.hw.pim.sums import Sums, context_layout

__all__ = ["ELEMENT_PARTS", "Rank"]

ELEMENT_PARTS = 1
"""Symbols of an int8 on a chip of 8 bits."""
BURSTS = 4


class Rank(wiring.Component):
    """Attention of ``slots`` heads at once, over K and V that lie in its rows.

    Parameters
    ----------
    pim : PimParams
        The rank.
    library : Library
        Where chip and bank are defined.

    Members
    -------
    jobs : In(stream of job_layout(pim))
        Jobs, in order.
    host : In(stream of ArrayLayout(8, chips))
        Vectors of the jobs: of every token or query those of all slots, one after the other.
    answers : Out(stream of ArrayLayout(8, chips))
        Vectors that were read.
    context : Out(stream of context_layout(pim))
        Contexts.
    scored, tops : Out(2), Out(signed(24)) array
        Halves of which all scores are there, and the largest by half, slot and query.
    staggered : In(1)
        Banks work each at its own time, not in lockstep. Static.
    idle : Out(1)
        No job is at work or waits.
    broken, breaks : Out
        What the timing checker says of the command of this clock, and in how many clocks so far.
    op : Out(4)
        Command of this clock.
    """

    def __init__(self, pim: PimParams, library: Library):
        self.pim, self.library = pim, library
        beat = stream.Signature(data.ArrayLayout(8, pim.chips))
        super().__init__({
            "jobs": In(stream.Signature(job_layout(pim))), "host": In(beat),
            "answers": Out(beat), "context": Out(stream.Signature(context_layout(pim))),
            "scored": Out(2),
            "tops": Out(data.ArrayLayout(data.ArrayLayout(data.ArrayLayout(
                SCORE_BITS, pim.queries), pim.slots), 2)),
            "staggered": In(1), "idle": Out(1),
            "broken": Out(data.StructLayout(dict.fromkeys(rule_names(pim.timing), 1))),
            "breaks": Out(32), "op": Out(4),
        })

    def elaborate(self, platform):
        m = Module()
        pim = self.pim

        m.submodules.controller = controller = Controller(pim)
        m.submodules.checker = checker = TimingChecker(pim.banks, pim.groups, pim.timing)
        m.submodules.returns = returns = Returns(pim)
        command = controller.command
        connect(m, flipped(self.jobs), controller.jobs)
        m.d.comb += [
            controller.staggered.eq(self.staggered), self.idle.eq(controller.idle),
            checker.op.eq(command.op), checker.banks.eq(command.banks),
            self.broken.eq(checker.broken), self.breaks.eq(checker.count),
            self.op.eq(command.op), returns.command.eq(command)]
        for n in range(pim.chips):
            m.submodules[f"chip_{n}"] = chip = self.library.instance(
                "pim_chip", lambda: Chip(pim, self.library), params=pim)
            m.d.comb += [chip.command.eq(command), chip.data.eq(controller.data[n]),
                         returns.words[n].eq(chip.word)]
        self._attention(m, controller, returns)
        self._host(m, controller, returns)

        return m

    def _attention(self, m: Module, controller: Controller, returns: Returns) -> None:
        """Scores to weights to contexts."""
        pim = self.pim
        m.submodules.scores = scores = Scores(pim)
        m.submodules.softmax = softmax = Softmax(pim)
        m.submodules.sums = sums = Sums(pim)
        head = controller.job.head
        m.d.comb += [
            scores.begin.eq(controller.begin_scores), scores.half.eq(head.half),
            scores.tokens.eq(head.tokens), scores.words.eq(returns.burst),
            scores.valid.eq(returns.valid & (returns.kind == Kind.SCORES)),
            scores.read.eq(softmax.read), scores.at.eq(softmax.at),
            softmax.scores.eq(scores.scores), softmax.begin.eq(controller.begin_weights),
            softmax.head.eq(head), softmax.octets.eq(controller.octets),
            sums.begin.eq(controller.begin_sums), sums.part.eq(head.part),
            sums.words.eq(returns.burst),
            sums.valid.eq(returns.valid & (returns.kind == Kind.SUMS)),
            controller.scored.eq(scores.complete), controller.sums_idle.eq(sums.idle),
            self.scored.eq(scores.complete)]
        for slot in range(pim.slots):
            for query in range(pim.queries):
                m.d.comb += [sums.den[slot][query].eq(softmax.den[slot][query]),
                             sums.top[slot][query].eq(softmax.top[slot][query])]
                for half in range(2):
                    top = scores.tops[half][slot][query]
                    m.d.comb += [softmax.tops[half][slot][query].eq(top),
                                 self.tops[half][slot][query].eq(top)]
        connect(m, softmax.weights, controller.weights)
        connect(m, sums.context, flipped(self.context))

    def _host(self, m: Module, controller: Controller, returns: Returns) -> None:
        """Vectors of the host to bursts in the order of the chips, and back."""
        pim = self.pim
        m.submodules.coarse = coarse = CoarseOrder(pim)
        m.submodules.fine = fine = Relayout(pim.chips, 8, ELEMENT_PARTS)
        m.submodules.bursts = bursts = BeatsToBursts(pim.chips)
        m.submodules.waiting = waiting = Queue(data.ArrayLayout(WORD, pim.chips), BURSTS)
        connect(m, flipped(self.host), coarse.i)
        connect(m, coarse.o, fine.i)
        connect(m, fine.o, bursts.i)
        connect(m, bursts.o, waiting.i)
        connect(m, waiting.o, controller.bursts)

        # A token's columns all fit: the next token waits for them to leave.
        m.submodules.read = read = Queue(data.ArrayLayout(WORD, pim.chips), 2 * pim.query_bursts)
        m.submodules.beats = beats = BurstsToBeats(pim.chips)
        m.submodules.fine_back = fine_back = Relayout(pim.chips, 8, ELEMENT_PARTS)
        m.submodules.coarse_back = coarse_back = CoarseOrder(pim)
        m.d.comb += controller.answered.eq(read.o.valid & read.o.ready)
        m.d.comb += [
            fine_back.back.eq(1), coarse_back.back.eq(1), read.i.payload.eq(returns.burst),
            read.i.valid.eq(returns.valid & (returns.kind == Kind.COLUMN))]
        connect(m, read.o, beats.i)
        connect(m, beats.o, fine_back.i)
        connect(m, fine_back.o, coarse_back.i)
        connect(m, coarse_back.o, flipped(self.answers))
