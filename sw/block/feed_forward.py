"""Up/gate half of the feed-forward layer."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import Fn, MMode, Type
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.residual import ResidualGroup
from ouroboros.sw.block.stage import Operation, StageDraft
from ouroboros.sw.block.tensors import Channels, Matrix, Param, Piece, Run

__all__ = ["UpGroup"]

OPERAND_MAIN = 0


class UpGroup:
    """Cores that make the hidden channels, each its share, up to the inputs of the down projection.

    A model without a gate has an activation table in its place; no kind of core computes that yet.

    Parameters
    ----------
    draft : Draft
        The model under construction.
    layer : int
        Transformer block.
    cores : sequence of tuple of int
        Where.
    """

    def __init__(self, draft: Draft, layer: int, cores: Sequence[Position]):
        self.draft, self.layer = draft, layer
        self.shares = draft.sizes.shares(draft.shape.hidden_dim, len(cores))
        self.gated = draft.shape.gated
        self.stages = []
        for n, core in enumerate(cores):
            stage = draft.stage("up", layer, core, f".{n}" if len(cores) > 1 else "")
            stage.area("h", draft.shape.dim, Type.I8)
            for name in ("u", "t", "f") if self.gated else ("u", "f"):
                stage.area(name, draft.sizes.padded(len(self.shares[n])), Type.I8)
            self.stages.append(stage)

    def code(self, down: ResidualGroup) -> None:
        """Programs of all cores: gate and up, SiLU, product."""
        for n, stage in enumerate(self.stages):
            share = self.shares[n]
            length = self.draft.sizes.padded(len(share))
            outputs = self.draft.padded_share(share)
            inputs = (Run(0, self.draft.shape.dim),)
            names = (("gate", "u", True), ("up", "t", False)) if self.gated else (
                ("up", "u", False),)
            matrix = Matrix(tuple(Piece(name, self.layer, outputs, inputs)
                                  for name, _, _ in names))
            plan = self.draft.macros[stage.info.core].place(
                matrix.outputs, matrix.inputs, self.draft.share_macros(stage),
                cut=length if self.gated else None)
            stage.wait(OPERAND_MAIN)
            stage.matrix(matrix, plan, stage.at("h"), [
                (k * length, length, self._requantise(stage, name, area, outputs, wide=wide))
                for k, (name, area, wide) in enumerate(names)])
            stage.sfu(Fn.SILU, a=stage.at("u"), a_type=Type.I8,
                      b=stage.at("t" if self.gated else "u"), d=stage.at("f"), d_type=Type.I8,
                      length=length, m_mode=MMode.FIXED, param=(Param("silu", self.layer), 0))
            down.take_inputs(stage, range(share.start, share.start + length), stage.at("f"))

    def _requantise(self, stage: StageDraft, name: str, area: str, channels: Channels, *,
                    wide: bool) -> Operation:
        param = Param(name, self.layer, channels)

        def operation(start: int, count: int, release: bool) -> None:
            stage.sfu(Fn.MAC, d=stage.at(area, start), d_type=Type.I8, length=count,
                      m_mode=MMode.PARAM, wide=wide, param=(param, start // self.draft.lanes),
                      release=release)
        return operation
