"""Transfers between rank and chips: queries and weights there, scores and sums back."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.params.pim import SCORES_A_GROUP, PimParams
from ouroboros.hw.pim.bank import WORD
from ouroboros.hw.pim.command import command_layout, score_address, sum_address
from ouroboros.hw.pim.job import JobOp, job_layout
from ouroboros.hw.pim.softmax import Part
from ouroboros.hw.pim.walk import unit_bits

__all__ = ["Transfer"]

PARTS = 3


class Transfer(wiring.Component):
    """Moves steps of a phase while the banks work on it, as far as buffers have room.

    Sums are read after their phase, beside the next one's beginning.

    Parameters
    ----------
    pim : PimParams
        The rank.

    Members
    -------
    jobs : In(stream of job_layout(pim))
        QUERY, SCORE and CONTEXT.
    bursts, weights : In(stream of words, by chip and by slot)
        Queries of the host; weights.
    completed, common : In
        As of ``Walker``.
    allowed, moved : Out
        As of ``Walker``.
    send, take : Out(1)
        Requests of WR_SB and RD_RB with ``send_command`` and ``data``, or ``take_command``.
    gave_send, gave_take : In(1)
        The request is granted in this clock.
    job : Out(job_layout(pim))
        Job at work.
    begin_scores, begin_weights, begin_sums : Out(1)
        For ``Scores``, ``Softmax``, ``Sums``.
    octets : Out(unsigned)
        Times 8 tokens of weights.
    scored, sums_idle : In(2), In(1)
        Halves whose scores have all come; whether sums may begin.
    idle : Out(1)
        Nothing is at work, and no score on its way.
    """

    def __init__(self, pim: PimParams):
        self.pim = pim
        bits = unit_bits(pim)
        super().__init__({
            "jobs": In(stream.Signature(job_layout(pim))),
            "bursts": In(stream.Signature(data.ArrayLayout(WORD, pim.chips))),
            "weights": In(stream.Signature(data.ArrayLayout(WORD, pim.slots))),
            "completed": In(2), "common": In(bits), "allowed": Out(2), "moved": Out(bits),
            "send": Out(1), "send_command": Out(command_layout(pim)),
            "data": Out(data.ArrayLayout(WORD, pim.chips)), "gave_send": In(1),
            "take": Out(1), "take_command": Out(command_layout(pim)), "gave_take": In(1),
            "job": Out(job_layout(pim)), "octets": Out(bits),
            "begin_scores": Out(1), "begin_weights": Out(1), "begin_sums": Out(1),
            "scored": In(2), "sums_idle": In(1), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        pim, bits = self.pim, unit_bits(self.pim)

        job = Signal(job_layout(pim))
        allowed, moved = Signal(2), Signal(bits)
        unit, units = Signal(bits), Signal(bits)
        burst = Signal(range(max(pim.query_bursts, pim.score_unit_bursts, pim.value_unit_bursts)))
        pending = Signal(pim.timing.write_data)     # bursts to the shared buffer, by age
        m.d.comb += [self.job.eq(job), self.allowed.eq(allowed), self.moved.eq(moved)]

        # Steps that the banks are through with, of the phase of this job.
        common = Signal(bits)
        m.d.comb += common.eq(Mux(self.completed == allowed, units, self.common))
        done_unit = Signal()    # the last weights of a step are sent
        m.d.sync += pending.eq(Cat(done_unit, pending[:-1]))
        with m.If(pending[-1]):
            m.d.sync += moved.eq(moved + 1)

        tail = Signal()
        sums, score = sum_address(pim), Signal(score_address(pim))
        pair = Signal(range(pim.sum_bursts))
        reads_scores = Signal()
        m.d.comb += [
            self.take.eq(tail | reads_scores),
            self.take_command.value.eq(tail),
            self.take_command.column.eq(Mux(tail, pair, score.as_value()))]
        assert sums.size >= len(pair)
        with m.If(tail & self.gave_take):
            m.d.sync += pair.eq(pair + 1)
            with m.If(pair == pim.sum_bursts - 1):
                m.d.sync += [pair.eq(0), tail.eq(0)]

        next_ = self.jobs.p
        count = self.jobs.p.head.tokens
        half_before, ever = Signal(), Signal()
        arrived = ~ever | self.scored.bit_select(half_before, 1)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(
                    ~self.jobs.valid & ~tail & self.sums_idle & arrived)
                m.d.sync += [unit.eq(0), burst.eq(0), score.eq(0)]
                with m.If(self.jobs.valid):
                    m.d.sync += job.eq(next_)
                    with m.Switch(next_.op):
                        with m.Case(JobOp.QUERY):
                            m.d.comb += self.jobs.ready.eq(1)
                            m.next = "QUERY"
                        with m.Case(JobOp.SCORE):
                            # Scores of the phase before may still be on their way.
                            m.d.comb += self.jobs.ready.eq(arrived)
                            with m.If(self.jobs.ready):
                                m.d.sync += [
                                    allowed.eq(allowed + 1), moved.eq(0), ever.eq(1),
                                    half_before.eq(next_.head.half),
                                    units.eq(_units(count, pim.score_unit_tokens))]
                                m.next = "SCORE BEGIN"
                        with m.Default():
                            m.d.comb += self.jobs.ready.eq(
                                self.scored.bit_select(next_.head.half, 1) & ~tail
                                & self.sums_idle)
                            with m.If(self.jobs.ready):
                                m.d.sync += [
                                    allowed.eq(allowed + 1), moved.eq(0),
                                    units.eq(_units(count, pim.value_unit_tokens))]
                                m.next = "WEIGHT BEGIN"
            with m.State("QUERY"):
                m.d.comb += [
                    self.send.eq(self.bursts.valid), self.bursts.ready.eq(self.gave_send),
                    self.send_command.column.eq(burst), self.send_command.half.eq(job.head.half),
                    self.data.eq(self.bursts.payload)]
                with m.If(self.gave_send):
                    m.d.sync += burst.eq(burst + 1)
                    with m.If(burst == pim.query_bursts - 1):
                        m.d.sync += burst.eq(pim.query_bursts - 1)
                        m.next = "QUERY COMES"
            arrives = Signal(range(pim.timing.write_data + 1))
            with m.State("QUERY COMES"):
                m.d.sync += arrives.eq(arrives + 1)
                with m.If(arrives == pim.timing.write_data):
                    m.d.sync += arrives.eq(0)
                    m.next = "IDLE"
            with m.State("SCORE BEGIN"):
                m.d.comb += self.begin_scores.eq(1)
                m.next = "SCORE"
            with m.State("SCORE"):
                m.d.comb += reads_scores.eq(~tail & (unit != common) & (unit != units))
                with m.If(reads_scores & self.gave_take):
                    self._next_score(m, score)
                    m.d.sync += burst.eq(burst + 1)
                    with m.If(burst == pim.score_unit_bursts - 1):
                        m.d.sync += [burst.eq(0), unit.eq(unit + 1), moved.eq(moved + 1)]
                with m.If(unit == units):
                    m.next = "IDLE"
            with m.State("WEIGHT BEGIN"):
                m.d.comb += self.begin_weights.eq(1)
                m.next = "WEIGHT"
            ring = Signal(range(pim.weight_depth * pim.value_unit_bursts))
            with m.State("WEIGHT"):
                m.d.comb += [
                    self.send.eq(self.weights.valid & (unit < common + pim.weight_depth)
                                 & (unit != units)),
                    self.weights.ready.eq(self.gave_send), self.send_command.value.eq(1),
                    self.send_command.column.eq(ring), done_unit.eq(
                        self.gave_send & (burst == pim.value_unit_bursts - 1))]
                for chip in range(pim.chips):
                    m.d.comb += self.data[chip].eq(self.weights.p[chip // pim.head_chips])
                with m.If(self.gave_send):
                    m.d.sync += [burst.eq(burst + 1), ring.eq(ring + 1)]
                    with m.If(done_unit):
                        m.d.sync += [burst.eq(0), unit.eq(unit + 1)]
                with m.If((unit == units) & (self.completed == allowed)):
                    m.d.comb += self.begin_sums.eq(1)
                    m.d.sync += [tail.eq(1), ring.eq(0)]
                    m.next = "IDLE"
        m.d.comb += self.octets.eq(units * (pim.value_unit_tokens // 8))
        assert fsm is not None and Part.WHOLE == 0

        return m

    def _next_score(self, m: Module, score) -> None:
        """Bursts of a step: parts of 8 banks, 8 banks by 8 banks, query by query."""
        pim = self.pim
        with m.If(score.part != PARTS - 1):
            m.d.sync += score.part.eq(score.part + 1)
        with m.Else():
            m.d.sync += score.part.eq(0)
            rest = Cat(score.octet, score.query, score.entry)
            assert len(score.octet) == (pim.banks // SCORES_A_GROUP - 1).bit_length()
            m.d.sync += rest.eq(rest + 1)


def _units(tokens, of: int):
    """Whole steps of so many tokens; ``of`` is a power of two."""
    return (tokens + of - 1) >> (of.bit_length() - 1)
