"""Up/gate half of the feed-forward layer."""

from collections.abc import Sequence

import numpy as np

from ouroboros.hw.params.isa import Fn, MMode, Type
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.draft import Draft, Ints, gather
from ouroboros.sw.mapper.stage import Operation, StageBuilder
from ouroboros.sw.models.integer import QuantLayer, Requant

__all__ = ["UpGroup"]

OPERAND_MAIN, OPERAND_DOWN = range(2)


class UpGroup:
    """Cores that make the hidden channels, each its share, up to the inputs of the down projection.

    Parameters
    ----------
    draft : Draft
        The model under construction.
    layer : int
        Transformer block.
    cores : sequence of tuple of int
        Where; core n makes the inputs of down core n.
    """

    def __init__(self, draft: Draft, layer: int, cores: Sequence[Position]):
        self.draft = draft
        self.stages = []
        for n, core in enumerate(cores):
            stage = draft.stage("up", layer, core, f".{n}" if len(cores) > 1 else "")
            stage.area("h", draft.model.shape.dim, Type.I8)
            for name in ("u", "t", "f"):
                stage.area(name, draft.padded(len(draft.up_share(n))), Type.I8)
            self.stages.append(stage)

    def code(self, layer: QuantLayer, down: Sequence[StageBuilder]) -> None:
        """Programs of all cores: gate and up, SiLU, product."""
        for n, stage in enumerate(self.stages):
            share, areas = self.draft.up_share(n), stage.areas
            length = self.draft.padded(len(share))
            rows = np.concatenate([np.arange(share.start, share.stop),
                                   np.full(length - len(share), -1)])
            weights = np.concatenate([gather(layer.w1, rows), gather(layer.w3, rows)])
            plan = stage.core.macros.place(weights, self.draft.share_macros(stage),
                                           cut=length)
            stage.wait(OPERAND_MAIN)
            stage.matrix(plan, areas["h"], [
                (0, length, self._requantise(stage, "u", layer.rq_1, rows, wide=True)),
                (length, length, self._requantise(stage, "t", layer.rq_3, rows, wide=False))])
            stage.core.silu(layer.silu)
            stage.sfu(Fn.SILU, a=areas["u"], a_type=Type.I8, b=areas["t"], d=areas["f"],
                      d_type=Type.I8, length=length, m_mode=MMode.FIXED,
                      param=stage.core.params([layer.mf]), shift=layer.sf)
            stage.send([down[n]], operand=OPERAND_DOWN, src=areas["f"],
                       flits=stage.flits(length, Type.I8), area="input")

    def _requantise(self, stage: StageBuilder, area: str, requant: Requant, rows: Ints, *,
                    wide: bool) -> Operation:
        param = self.draft.requant_params(stage.core, requant, rows)

        def operation(start: int, count: int, release: bool) -> None:
            stage.sfu(Fn.MAC, d=stage.areas[area] + stage.words(start, Type.I8), d_type=Type.I8,
                      length=count, m_mode=MMode.PARAM, wide=wide, shift=requant.s,
                      param=param + start // self.draft.lanes, release=release)
        return operation
