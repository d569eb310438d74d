"""LM head: logits and argmax."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import Fn, MMode, Track, Type
from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.draft import Draft
from ouroboros.sw.mapper.stage import EFFECTLESS, Operation, StageBuilder

__all__ = ["HOST_LOGITS", "HOST_RESULT", "HeadGroup"]

OPERAND_MAIN, OPERAND_BEST = range(2)
HOST_RESULT, HOST_LOGITS = range(2)
"""Operand numbers of packets to the host."""
SKIP = EFFECTLESS | Flag.QUIET
"""Tokens without logits."""


class HeadGroup:
    """Cores that make the logits, each its share; core 0 picks the best and tells the host.

    Parameters
    ----------
    draft : Draft
        The model under construction.
    cores : sequence of tuple of int
        Where.
    """

    def __init__(self, draft: Draft, cores: Sequence[Position]):
        self.draft = draft
        self.stages = []
        lanes = draft.lanes
        for n, core in enumerate(cores):
            stage = draft.stage("lm", -1, core, f".{n}" if len(cores) > 1 else "")
            stage.area("h", draft.model.shape.dim, Type.I8)
            stage.area("logits", len(draft.lm_share(n)), Type.I32)
            stage.area("best", lanes, Type.I32)
            stage.area("next", lanes, Type.I32)
            if n == 0 and len(cores) > 1:
                stage.area("others", lanes * (len(cores) - 1), Type.I32)
            self.stages.append(stage)

    def code(self) -> None:
        """Programs of all cores."""
        lanes, host = self.draft.lanes, self.draft.machine.host
        first = self.stages[0]
        for n, stage in enumerate(self.stages):
            self._score(stage, n)
            if n:
                stage.send([first], operand=OPERAND_BEST, src=stage.areas["best"], area="others",
                           flits=stage.flits(lanes, Type.I32), element=(n - 1) * lanes)
        if len(self.stages) > 1:
            first.wait(OPERAND_BEST)
        for n in range(len(self.stages) - 1):
            first.sfu(Fn.PICK, skip=SKIP, a=first.areas["best"], b=first.areas["others"] + n,
                      d=first.areas["best"], length=lanes)
        first.report(host, operand=HOST_RESULT, src=first.areas["best"], flits=1, dst=0)

    def _score(self, stage: StageBuilder, n: int) -> None:
        """Logits of one core and (value, id) of the best of them."""
        share, areas = self.draft.lm_share(n), stage.areas
        weights = self.draft.model.head[share.start:share.stop]
        plan = stage.core.macros.place(weights, self.draft.share_macros(stage))
        stage.wait(OPERAND_MAIN)
        stage.matrix(plan, areas["h"], [(0, len(share), self._segment(stage, share))], skip=SKIP)
        stage.report(self.draft.machine.host, operand=HOST_LOGITS, src=areas["logits"], skip=SKIP,
                     flits=stage.flits(len(share), Type.I32), need=Flag.STREAM,
                     dst=share.start * 32 // self.draft.machine.noc.flit_bits)

    def _segment(self, stage: StageBuilder, share: range) -> Operation:
        requant, lanes, areas = self.draft.model.rq_head, self.draft.lanes, stage.areas
        param = stage.core.params(requant.m[share.start:share.stop])

        def operation(start: int, count: int, release: bool) -> None:
            base = share.start + start
            stage.sfu(Fn.MAC, skip=SKIP, d=areas["logits"] + stage.words(start, Type.I32),
                      length=count, m_mode=MMode.PARAM, param=param + start // lanes,
                      shift=requant.s, release=release, track=Track.ARGMAX,
                      c=areas["next" if start else "best"], b=base & 0xFFF, b_wrap=base >> 12)
            if start:
                stage.sfu(Fn.PICK, skip=SKIP, a=areas["best"], b=areas["next"], d=areas["best"],
                          length=lanes)
        return operation
