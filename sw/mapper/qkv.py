"""Queries, keys and values of a block."""

from collections.abc import Sequence

import numpy as np

from ouroboros.hw.params.isa import Fn, MMode, Type
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.attention import AttentionGroup
from ouroboros.sw.mapper.draft import Draft, Ints, gather
from ouroboros.sw.mapper.stage import Operation, StageBuilder
from ouroboros.sw.models.integer import QuantLayer, Requant

__all__ = ["QkvGroup"]

OPERAND_MAIN = 0


class QkvGroup:
    """Cores that make q, k and v, each for its share of the KV heads, and rotate them.

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
        self.draft, self.count = draft, len(cores)
        self.stages = [self._layout(core, n, layer) for n, core in enumerate(cores)]

    def _heads(self, n: int) -> tuple[range, range]:
        """Query heads and KV heads of core ``n``."""
        shape = self.draft.model.shape
        first, last = (k * shape.n_kv_heads // self.count for k in (n, n + 1))
        return (range(first * shape.heads_per_kv, last * shape.heads_per_kv), range(first, last))

    def _layout(self, core: Position, n: int, layer: int) -> StageBuilder:
        pad = self.draft.head_pad
        stage = self.draft.stage("qkv", layer, core, f".{n}" if self.count > 1 else "")
        stage.area("h", self.draft.model.shape.dim, Type.I8)
        stage.area("rope", pad, Type.I16)
        heads, kv_heads = self._heads(n)
        for name, number in (("q", len(heads)), ("k", len(kv_heads))):
            stage.area(f"{name}16", number * pad, Type.I16)
            stage.area(f"{name}8", number * pad, Type.I8)
        stage.area("v8", len(kv_heads) * pad, Type.I8)
        return stage

    def code(self, layer: QuantLayer, groups: Sequence[AttentionGroup]) -> None:
        """Programs of all cores; q, k, v go to the group of cores that has the KV head."""
        for n, stage in enumerate(self.stages):
            heads, kv_heads = self._heads(n)
            stage.wait(OPERAND_MAIN)
            self._multiply(stage, layer, heads, kv_heads)
            pad, lanes, areas = self.draft.head_pad, self.draft.lanes, stage.areas
            for name, number in (("q", len(heads)), ("k", len(kv_heads))):
                stage.sfu(Fn.ROPE, a=areas[f"{name}16"], a_type=Type.I16, d=areas[f"{name}8"],
                          d_type=Type.I8, b=areas["rope"], b_wrap=pad // lanes,
                          length=number * pad, shift=20)
            for group in groups:
                if group.kv_heads.start in kv_heads:
                    self._send(stage, group, group.kv_heads.start - kv_heads.start)

    def _multiply(self, stage: StageBuilder, layer: QuantLayer, heads: range,
                  kv_heads: range) -> None:
        """q16, k16 and v8, each head padded to a word."""
        areas = stage.areas
        rows_q, rows_kv = (self.draft.padded_heads(some) for some in (heads, kv_heads))
        weights = np.concatenate([gather(layer.wq, rows_q), gather(layer.wk, rows_kv),
                                  gather(layer.wv, rows_kv)])
        plan = stage.core.macros.place(weights, self.draft.share_macros(stage))

        def requantise(area: str, requant: Requant, rows: Ints) -> Operation:
            place = areas[area]
            param = self.draft.requant_params(stage.core, requant, rows)

            def operation(start: int, length: int, release: bool) -> None:
                stage.sfu(Fn.MAC, d=place + stage.words(start, place.kind), d_type=place.kind,
                          length=length, m_mode=MMode.PARAM, shift=requant.s, release=release,
                          param=param + start // self.draft.lanes)
            return operation

        k_first, v_first = len(rows_q), len(rows_q) + len(rows_kv)
        stage.matrix(plan, areas["h"], [
            (0, len(rows_q), requantise("q16", layer.rq_q, rows_q)),
            (k_first, len(rows_kv), requantise("k16", layer.rq_k, rows_kv)),
            (v_first, len(rows_kv), requantise("v8", layer.rq_v, rows_kv))])

    def _send(self, stage: StageBuilder, group: AttentionGroup, first: int) -> None:
        """q, k, v of one group, whose first KV head is number ``first`` of this core."""
        pad, number = self.draft.head_pad, len(group.kv_heads)
        per_kv = self.draft.model.shape.heads_per_kv
        for name, start, vectors in (("q", first * per_kv, number * per_kv),
                                     ("k", first, number), ("v", first, number)):
            stage.send(group.stages, operand=OPERAND_MAIN, area=name,
                       src=stage.areas[f"{name}8"] + stage.words(start * pad, Type.I8),
                       flits=stage.flits(vectors * pad, Type.I8),
                       reserve=group.stages if name == "q" else None)
