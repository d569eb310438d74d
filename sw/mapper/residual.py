"""Residual slices: embedding, projection and down projection, each with the norm that follows."""

from collections.abc import Sequence

import numpy as np

from ouroboros.hw.params.isa import BMode, Fn, MMode, Track, Type
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.draft import Draft, Ints
from ouroboros.sw.mapper.stage import StageBuilder
from ouroboros.sw.models.integer import Norm, QuantLayer, Requant

__all__ = ["ResidualGroup"]

OPERAND_MAIN, OPERAND_SECOND, OPERAND_NORM, OPERAND_PARTIAL = range(4)


class ResidualGroup:
    """The residual after one step of a block, in slices of output channels.

    A slice takes x from the slice before it (the host, for the embedding), adds its share of a
    matrix product, and hands over h = norm(x) to the next stages and x to the next residual. With
    several slices, slice 0 adds the sums of squares and returns the norm's scale. Slice 0 reserves
    the slots of all that the group sends to.

    Parameters
    ----------
    draft : Draft
        The model under construction.
    kind : str
        embed, proj or down.
    layer : int
        Transformer block; -1 for the embedding.
    cores : sequence of tuple of int
        One for each slice.
    """

    def __init__(self, draft: Draft, kind: str, layer: int, cores: Sequence[Position]):
        self.draft, self.kind = draft, kind
        self.stages = [self._layout(core, n, layer, len(cores)) for n, core in enumerate(cores)]

    def _layout(self, core: Position, n: int, layer: int, count: int) -> StageBuilder:
        draft = self.draft
        shape, lanes, channels = draft.model.shape, draft.lanes, len(draft.slices[n])
        stage = draft.stage(self.kind, layer, core, f".{n}" if count > 1 else "")
        stage.area("x", channels, Type.I16)
        stage.area("rope", draft.head_pad, Type.I16)
        if self.kind == "proj":
            stage.area("input", shape.n_heads * draft.head_pad, Type.I8)
        stage.area("sumsq", lanes, Type.I32)
        stage.area("scale", lanes, Type.I32)
        stage.area("h", channels, Type.I8)
        if self.kind == "down":
            stage.area("input", draft.padded(len(draft.up_share(n))), Type.I8)
            if count > 1:
                stage.area("acc", shape.dim, Type.I32)
                stage.area("partial", channels * (count - 1), Type.I32)
        if n == 0 and count > 1:
            stage.area("others", lanes * (count - 1), Type.I32)
        return stage

    def code(self, layer: QuantLayer | None, norm: Norm, consumers: Sequence[StageBuilder],
             successors: Sequence[StageBuilder]) -> None:
        """Programs of all slices; h goes to ``consumers``, x to ``successors`` slice by slice."""
        for n, stage in enumerate(self.stages):
            channels = self.draft.slices[n]
            squared = False
            if layer is None:
                stage.wait(OPERAND_MAIN)
            elif self.kind == "down" and len(self.stages) > 1:
                self._add_partials(n, layer)
                squared = True
            else:
                stage.wait(OPERAND_MAIN)
                stage.wait(OPERAND_SECOND)
                weights, requant = layer.w2, layer.rq_2
                if self.kind == "proj":
                    columns = self.draft.padded_heads(range(self.draft.model.shape.n_heads))
                    weights = np.where(columns < 0, 0,
                                       layer.wo[channels][:, columns]).astype(np.int8)
                    requant = layer.rq_o
                squared = self._multiply(stage, weights, requant, channels)
            if not squared:
                x = stage.areas["x"]
                stage.sfu(Fn.MAC, a=x, a_type=Type.I16, d=x, d_type=Type.I16,
                          length=len(channels), track=Track.SUMSQ, c=stage.areas["sumsq"])
            self._norm(n, norm, [*consumers, *successors])
            self._hand_over(n, consumers, successors)

    def _multiply(self, stage: StageBuilder, weights: Ints, requant: Requant,
                  channels: range) -> bool:
        """``x += rnd(acc * M, S)``; true if the sum of squares came with it."""
        plan = stage.core.macros.place(weights, self.draft.share_macros(stage))
        param = stage.core.params(requant.m[channels.start:channels.stop])
        x, one = stage.areas["x"], len(plan.passes) == 1

        def update(start: int, count: int, release: bool) -> None:
            word = x + stage.words(start, Type.I16)
            stage.sfu(Fn.MAC, b=word, b_mode=BMode.RESIDUAL16, d=word, d_type=Type.I16,
                      length=count, m_mode=MMode.PARAM, param=param + start // self.draft.lanes,
                      shift=requant.s, release=release, c=stage.areas["sumsq"],
                      track=Track.SUMSQ if one else Track.NONE)

        stage.matrix(plan, stage.areas["input"], [(0, len(channels), update)])
        return one

    def _add_partials(self, n: int, layer: QuantLayer) -> None:
        """Down projection whose inputs lie on several cores: int32 partial sums change cores."""
        stage, slices = self.stages[n], self.draft.slices
        channels, hidden = slices[n], self.draft.up_share(n)
        acc, x = stage.areas["acc"], stage.areas["x"]
        stage.wait(OPERAND_SECOND)
        plan = stage.core.macros.place(layer.w2[:, hidden.start:hidden.stop],
                                       self.draft.share_macros(stage))

        def keep(start: int, count: int, release: bool) -> None:
            stage.sfu(Fn.MAC, d=acc + stage.words(start, Type.I32), length=count, release=release)

        stage.matrix(plan, stage.areas["input"], [(0, self.draft.model.shape.dim, keep)])
        for k, other in enumerate(self.stages):
            if k != n:
                place = n if n < k else n - 1
                stage.send([other], operand=OPERAND_PARTIAL,
                           src=acc + stage.words(slices[k].start, Type.I32),
                           flits=stage.flits(len(slices[k]), Type.I32),
                           area="partial", element=place * len(slices[k]))
        stage.wait(OPERAND_PARTIAL)
        stage.wait(OPERAND_MAIN)
        own = acc + stage.words(channels.start, Type.I32)
        for k in range(len(self.stages) - 1):
            stage.sfu(Fn.MAC, a=own, b_mode=BMode.ADD32, d=own, length=len(channels),
                      b=stage.areas["partial"] + k * stage.words(len(channels), Type.I32))
        stage.sfu(Fn.MAC, a=own, b=x, b_mode=BMode.RESIDUAL16, d=x, d_type=Type.I16,
                  length=len(channels), m_mode=MMode.PARAM, shift=layer.rq_2.s,
                  param=stage.core.params(layer.rq_2.m[channels.start:channels.stop]),
                  track=Track.SUMSQ, c=stage.areas["sumsq"])

    def _norm(self, n: int, norm: Norm, reserve: Sequence[StageBuilder]) -> None:
        """``h = sat8(rnd(x * Y, shift))``; (Y, shift) made by slice 0 for all."""
        stage, root = self.stages[n], self.stages[0]
        lanes, sumsq, scale = self.draft.lanes, stage.areas["sumsq"], stage.areas["scale"]
        flits = stage.flits(lanes, Type.I32)
        if n:
            stage.send([root], operand=OPERAND_NORM, src=sumsq, flits=flits, area="others",
                       element=(n - 1) * lanes)
            stage.wait(OPERAND_NORM)
        else:
            if len(self.stages) > 1:
                stage.wait(OPERAND_NORM)
            for k in range(len(self.stages) - 1):
                stage.sfu(Fn.MAC, a=sumsq, b=stage.areas["others"] + k, b_mode=BMode.ADD32,
                          d=sumsq, length=lanes)
            stage.sfu(Fn.RSQRT, c=sumsq, d=scale, param=self.draft.norm_param(stage.core, norm))
            if len(self.stages) > 1:
                # Whoever has the scale may send: room for the token is reserved first.
                stage.send(self.stages[1:], operand=OPERAND_NORM, src=scale, flits=flits,
                           area="scale", reserve=reserve)
        stage.sfu(Fn.MAC, a=stage.areas["x"], a_type=Type.I16, d=stage.areas["h"],
                  d_type=Type.I8, length=len(self.draft.slices[n]), m_mode=MMode.SCALAR, c=scale)

    def _hand_over(self, n: int, consumers: Sequence[StageBuilder],
                   successors: Sequence[StageBuilder]) -> None:
        """Sends h (and the RoPE row to QKV), then x (and the RoPE row) to the next residual."""
        stage, channels = self.stages[n], self.draft.slices[n]
        rope = stage.areas["rope"]
        rope_flits = stage.flits(self.draft.model.shape.head_dim, Type.I16)
        stage.send(consumers, operand=OPERAND_MAIN, src=stage.areas["h"], area="h",
                   flits=stage.flits(len(channels), Type.I8), element=channels.start,
                   reserve=[*consumers, *successors] if len(self.stages) == 1 else None)
        if n == 0 and consumers[0].info.kind == "qkv":
            stage.send(consumers, operand=OPERAND_MAIN, src=rope, flits=rope_flits, area="rope")
        if successors:
            stage.send([successors[n]], operand=OPERAND_MAIN, src=stage.areas["x"], area="x",
                       flits=stage.flits(len(channels), Type.I16))
            if n == 0:
                stage.send([successors[n]], operand=OPERAND_MAIN, src=rope, flits=rope_flits,
                           area="rope")
