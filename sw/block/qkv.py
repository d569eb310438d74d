"""Queries, keys and values of a block."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.hw.params.isa import Fn, MMode, Type
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.attention import AttentionGroup
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.residual import OPERAND_ROPE
from ouroboros.sw.block.sizes import divide, overlap
from ouroboros.sw.block.stage import Operation, StageDraft
from ouroboros.sw.block.tensors import Channels, Matrix, Param, Piece, Run

__all__ = ["QkvGroup", "QkvShare", "qkv_shares"]

OPERAND_MAIN, OPERAND_GO = range(2)


@dataclass(frozen=True, slots=True)
class QkvShare:
    """Heads that one core makes."""

    q: range
    """Query heads."""
    k: range
    """Heads whose keys it makes."""
    v: range
    """Heads whose values it makes."""


def qkv_shares(n_kv_heads: int, per_kv: int, cores: int, room: int) -> list[QkvShare]:
    """Shares of ``cores``: whole KV heads with their queries where a core has ``room`` for the
    vectors of as many; else equal numbers of vectors, in the order q, .., k, v of one KV head after
    the other.
    """
    if cores <= n_kv_heads and divide(n_kv_heads, cores) * (per_kv + 2) <= room:
        ends = [n * n_kv_heads // cores for n in range(cores + 1)]
        return [QkvShare(range(a * per_kv, b * per_kv), range(a, b), range(a, b))
                for a, b in itertools.pairwise(ends)]
    each = divide(n_kv_heads * (per_kv + 2), cores)
    found = []
    for n in range(cores):
        counts = [[0, 0, 0], [0, 0, 0]]
        for end, at in zip(counts, (n * each, (n + 1) * each), strict=True):
            head, vector = divmod(min(at, n_kv_heads * (per_kv + 2)), per_kv + 2)
            end[:] = [head * per_kv + min(vector, per_kv), head + (vector > per_kv),
                      head]
        (q, k, v), (q_end, k_end, v_end) = counts
        found.append(QkvShare(range(q, q_end), range(k, k_end), range(v, v_end)))
    return found


class QkvGroup:
    """Cores that make q, k and v, each for its share of the heads, and rotate them.

    The core that makes a group's first query reserves the slots of the group's KV cores. Where
    others make some of its vectors, it tells them afterwards that they may send.

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
        self.draft, self.layer, self.count = draft, layer, len(cores)
        self.shares = qkv_shares(draft.shape.n_kv_heads, draft.per_kv, len(cores),
                                 draft.vectors_abreast)
        # Whether some group's heads are made by several cores.
        each = draft.shape.n_kv_heads // len(draft.plan.blocks[layer].kv)
        self.parted = len(cores) > 1 and any(
            share.q.start % (each * draft.per_kv) or share.q.stop % (each * draft.per_kv)
            or (share.v.start, share.v.stop) != (share.k.start, share.k.stop)
            or share.k.start * draft.per_kv != share.q.start for share in self.shares)
        self.rope = bool(draft.rope_flits)
        self.stages = [self._layout(core, n) for n, core in enumerate(cores)]

    def _layout(self, core: Position, n: int) -> StageDraft:
        pad, share = self.draft.head_pad, self.shares[n]
        stage = self.draft.stage("qkv", self.layer, core, f".{n}" if self.count > 1 else "")
        stage.area("h", self.draft.shape.dim, Type.I8)
        if self.rope:
            stage.area("rope", pad, Type.I16)
        if self.parted:
            stage.area("go", self.draft.lanes, Type.I32)
        # q and k side by side: one instruction rotates both.
        for suffix, kind in (("16", Type.I16), ("8", Type.I8)) if self.rope else (("8", Type.I8),):
            for name, heads in (("q", share.q), ("k", share.k)):
                stage.area(f"{name}{suffix}", len(heads) * pad, kind)
        stage.area("v8", len(share.v) * pad, Type.I8)
        return stage

    def code(self, groups: Sequence[AttentionGroup]) -> None:
        """Programs of all cores; q, k, v go to the group of cores that has the KV head."""
        for n, stage in enumerate(self.stages):
            share = self.shares[n]
            stage.wait(OPERAND_MAIN)
            self._multiply(stage, share)
            pad, lanes = self.draft.head_pad, self.draft.lanes
            if self.rope:
                stage.wait(OPERAND_ROPE)
                rotated = len(share.q) + len(share.k)
                if rotated:
                    stage.sfu(Fn.ROPE, a=stage.at("q16"), a_type=Type.I16, d=stage.at("q8"),
                              d_type=Type.I8, b=stage.at("rope"), b_wrap=pad // lanes,
                              length=rotated * pad, shift=20)
            own = [group for group in groups if group.heads.start in share.q]
            for group in own:
                self._send(stage, share, group, first=True)
                others = [other for other, theirs in zip(self.stages, self.shares, strict=True)
                          if other is not stage and self._makes(theirs, group)]
                if others:
                    stage.send(others, operand=OPERAND_GO, src=stage.at("go"), flits=1, area="go")
            told = [group for group in groups if group not in own and self._makes(share, group)]
            if told:
                stage.wait(OPERAND_GO)
            for group in told:
                self._send(stage, share, group, first=False)

    @staticmethod
    def _makes(share: QkvShare, group: AttentionGroup) -> bool:
        return any((overlap(share.q, group.heads), overlap(share.k, group.kv_heads),
                    overlap(share.v, group.kv_heads)))

    def _multiply(self, stage: StageDraft, share: QkvShare) -> None:
        """q16, k16 and v8, each head padded to a word."""
        draft, inputs = self.draft, (Run(0, self.draft.shape.dim),)
        wide = ("16", Type.I16) if self.rope else ("8", Type.I8)
        parts = [("q", share.q, *wide), ("k", share.k, *wide), ("v", share.v, "8", Type.I8)]
        parts = [part for part in parts if part[1]]
        matrix = Matrix(tuple(Piece(name, self.layer, draft.head_channels(heads), inputs)
                              for name, heads, _, _ in parts))
        plan = draft.macros[stage.info.core].place(matrix.outputs, matrix.inputs,
                                                   draft.share_macros(stage))
        segments: list[tuple[int, int, Operation]] = []
        first = 0
        for name, heads, suffix, kind in parts:
            length = len(heads) * draft.head_pad
            segments.append((first, length, self._requantise(
                stage, name, f"{name}{suffix}", kind, draft.head_channels(heads))))
            first += length
        stage.matrix(matrix, plan, stage.at("h"), segments)

    def _requantise(self, stage: StageDraft, name: str, area: str, kind: Type,
                    channels: Channels) -> Operation:
        param = Param(name, self.layer, channels)

        def operation(start: int, length: int, release: bool) -> None:
            stage.sfu(Fn.MAC, d=stage.at(area) + stage.words(start, kind), d_type=kind,
                      length=length, m_mode=MMode.PARAM, release=release,
                      param=(param, start // self.draft.lanes))
        return operation

    def _send(self, stage: StageDraft, share: QkvShare, group: AttentionGroup, *,
              first: bool) -> None:
        """q, k, v of one group, as far as this core makes them."""
        pad = self.draft.head_pad
        for name, made, wanted in (("q", share.q, group.heads), ("k", share.k, group.kv_heads),
                                   ("v", share.v, group.kv_heads)):
            part = overlap(made, wanted)
            if part:
                stage.send(group.stages, operand=OPERAND_MAIN, area=name,
                           src=stage.at(f"{name}8", (part.start - made.start) * pad),
                           flits=stage.flits(len(part) * pad, Type.I8),
                           element=(part.start - wanted.start) * pad,
                           reserve=group.stages if first and name == "q" else None)
