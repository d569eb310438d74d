"""Up/gate half of the feed-forward layer."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import Fn, MMode, Track, Type
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.residual import ResidualGroup
from ouroboros.sw.block.stage import Operation, StageDraft
from ouroboros.sw.block.tensors import Channels, Matrix, Param, Piece, Run
from ouroboros.sw.models.scheme import R2

__all__ = ["UpGroup"]

OPERAND_MAIN, OPERAND_EXPONENT = range(2)


class UpGroup:
    """Cores that make the hidden channels, each its share, up to the inputs of the down projection.

    A model without a gate has an activation table in its place; no kind of core computes that yet.

    In R2 core 0 takes the largest magnitude that each core has made, and returns the token's
    exponent, to the down projection too.

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
            if draft.wide:
                self._wide_areas(stage, n)
            else:
                for name in ("u", "t", "f") if self.gated else ("u", "f"):
                    stage.area(name, draft.sizes.padded(len(self.shares[n])), Type.I8)
            self.stages.append(stage)

    def _wide_areas(self, stage: StageDraft, n: int) -> None:
        lanes, length = self.draft.lanes, self.draft.sizes.padded(len(self.shares[n]))
        # One word for both: what a core has found, then what is true of the token.
        stage.area("exponent", lanes, Type.I32)
        stage.area("w", length, Type.I32)
        stage.area("t", length, Type.I16)
        # w is written behind the gate that it is made from, and digits where up has been.
        stage.overlay("u", "w", stage.words(length, Type.I16), Type.I16)
        stage.overlay("f", "t", 0, Type.I8)
        stage.overlay("low", "t", stage.words(length, Type.I8), Type.I8)
        if n == 0 and len(self.shares) > 1:
            stage.area("others", lanes * (len(self.shares) - 1), Type.I32)

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
            if self.draft.wide:
                self._gate(n, down)
                for area, to in (("f", "input"), ("low", "low")):
                    down.take_inputs(stage, range(share.start, share.start + length),
                                     stage.at(area), area=to)
                continue
            stage.sfu(Fn.SILU, a=stage.at("u"), a_type=Type.I8,
                      b=stage.at("t" if self.gated else "u"), d=stage.at("f"), d_type=Type.I8,
                      length=length, m_mode=MMode.FIXED, param=(Param("silu", self.layer), 0))
            down.take_inputs(stage, range(share.start, share.start + length), stage.at("f"))

    def _gate(self, n: int, down: ResidualGroup) -> None:
        """Gate times up, and its digits by the exponent of all hidden channels of the token."""
        stage, root, lanes = self.stages[n], self.stages[0], self.draft.lanes
        length = self.draft.sizes.padded(len(self.shares[n]))
        word, others = stage.at("exponent"), len(self.stages) - 1
        flits = stage.flits(lanes, Type.I32)
        stage.sfu(Fn.GATE, a=stage.at("u"), a_type=Type.I16, b=stage.at("t"), d=stage.at("w"),
                  length=length, param=(Param("sigmoid", self.layer), 0), track=Track.MAX,
                  magnitude=True, c=word)
        if n:
            stage.send([root], operand=OPERAND_EXPONENT, src=word, flits=flits, area="others",
                       element=(n - 1) * lanes)
            stage.wait(OPERAND_EXPONENT)
        else:
            if others:
                stage.wait(OPERAND_EXPONENT)
            for k in range(others):
                stage.sfu(Fn.MAX, a=word, b=stage.at("others", k * lanes), d=word, length=lanes)
            stage.sfu(Fn.EXPONENT, c=word, d=word, shift=self.draft.scheme.f_bits - 1)
            if others:
                stage.send(self.stages[1:], operand=OPERAND_EXPONENT, src=word, flits=flits,
                           area="exponent")
            down.take_exponent(stage, word)
        stage.sfu(Fn.MAC, a=stage.at("w"), m_mode=MMode.SCALAR, c=word, d=stage.at("f"),
                  d_type=Type.I8, b=stage.at("low"), length=length, digits=True,
                  wide=self.draft.scheme.f_bits < R2.f_bits)

    def _requantise(self, stage: StageDraft, name: str, area: str, channels: Channels, *,
                    wide: bool) -> Operation:
        param, kind = Param(name, self.layer, channels), stage.areas[area].kind

        def operation(start: int, count: int, release: bool) -> None:
            stage.sfu(Fn.MAC, d=stage.at(area, start), d_type=kind, length=count,
                      m_mode=MMode.PARAM, wide=wide and kind is Type.I8, release=release,
                      param=(param, start // self.draft.lanes))
        return operation
