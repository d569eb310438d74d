"""LM head: logits and argmax."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import Fn, MMode, Track, Type
from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.fold import fold
from ouroboros.sw.block.stage import EFFECTLESS, Operation, StageDraft
from ouroboros.sw.block.tensors import Matrix, Param, Piece, Run

__all__ = ["HOST_LOGITS", "HOST_RESULT", "HeadGroup"]

OPERAND_MAIN, OPERAND_BEST = range(2)
HOST_RESULT, HOST_LOGITS = range(2)
"""Operand numbers of packets to the host."""
SKIP = EFFECTLESS | Flag.QUIET
"""Tokens without logits."""


class HeadGroup:
    """Cores that make the logits, each its share; one of them, or another core, picks the best and
    tells the host.

    Parameters
    ----------
    draft : Draft
        The model under construction.
    cores : sequence of tuple of int
        Where.
    best : tuple of int, optional
        Where the best is picked; by default in the first of the cores.
    """

    def __init__(self, draft: Draft, cores: Sequence[Position], best: Position | None = None):
        self.draft = draft
        self.shares = draft.sizes.shares(draft.shape.vocab_size, len(cores))
        self.stages = []
        lanes = draft.lanes
        for n, core in enumerate(cores):
            stage = draft.stage("lm", -1, core, f".{n}" if len(cores) > 1 else "")
            stage.area("h", draft.shape.dim, Type.I8)
            stage.area("logits", len(self.shares[n]), Type.I32)
            stage.area("best", lanes, Type.I32)
            stage.area("next", lanes, Type.I32)
            if n == 0 and len(cores) > 1 and best is None:
                stage.area("others", lanes * (len(cores) - 1), Type.I32)
            self.stages.append(stage)
        self.best: StageDraft | None = None
        if best is not None:
            self.best = draft.stage("best", -1, best)
            self.best.area("others", lanes * len(cores), Type.I32)

    @property
    def reserved(self) -> list[StageDraft]:
        """Stages whose slots the last norm reserves."""
        return [*self.stages, *([self.best] if self.best else [])]

    @property
    def result(self) -> StageDraft:
        """Who tells the host."""
        return self.best or self.stages[0]

    def code(self) -> None:
        """Programs of all cores."""
        lanes, last = self.draft.lanes, self.result
        others = [stage for stage in self.stages if stage is not last]
        for n, stage in enumerate(self.stages):
            self._score(stage, n)
            if stage in others:
                stage.send([last], operand=OPERAND_BEST, src=stage.at("best"), area="others",
                           flits=stage.flits(lanes, Type.I32),
                           element=others.index(stage) * lanes)
        if others:
            last.wait(OPERAND_BEST)
            fold(last, last.at("others"), 1, len(others), fn=Fn.PICK, skip=SKIP)
        best = last.at("others" if self.best else "best")
        if others and not self.best:
            last.sfu(Fn.PICK, skip=SKIP, a=best, b=last.at("others"), d=best, length=lanes)
        last.report(self.draft.machine.host, operand=HOST_RESULT, src=best, flits=1, dst=0)

    def _score(self, stage: StageDraft, n: int) -> None:
        """Logits of one core and (value, id) of the best of them."""
        share = self.shares[n]
        matrix = Matrix((Piece("head", -1, (Run(share.start, len(share)),),
                               (Run(0, self.draft.shape.dim),)),))
        plan = self.draft.macros[stage.info.core].place(matrix.outputs, matrix.inputs,
                                                        self.draft.share_macros(stage))
        stage.wait(OPERAND_MAIN)
        stage.matrix(matrix, plan, stage.at("h"), [(0, len(share), self._segment(stage, share))],
                     skip=SKIP)
        stage.report(self.draft.machine.host, operand=HOST_LOGITS, src=stage.at("logits"),
                     skip=SKIP, flits=stage.flits(len(share), Type.I32), need=Flag.STREAM,
                     dst=share.start * 32 // self.draft.machine.noc.flit_bits)

    def _segment(self, stage: StageDraft, share: range) -> Operation:
        lanes, best = self.draft.lanes, stage.at("best")
        param = Param("head", -1, (Run(share.start, len(share)),))

        def operation(start: int, count: int, release: bool) -> None:
            base = share.start + start
            stage.sfu(Fn.MAC, skip=SKIP, d=stage.at("logits", start), length=count,
                      m_mode=MMode.PARAM, param=(param, start // lanes), release=release,
                      track=Track.ARGMAX, c=stage.at("next") if start else best, b=base & 0xFFF,
                      b_wrap=base >> 12)
            if start:
                stage.sfu(Fn.PICK, skip=SKIP, a=best, b=stage.at("next"), d=best, length=lanes)
        return operation
