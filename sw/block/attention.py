"""Attention of a group of KV heads: one core, or several that share the group's tokens."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import Fn, MMode, Op, Track, Type
from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.digits import add_low, keep_high
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.fold import fold
from ouroboros.sw.block.residual import ResidualGroup
from ouroboros.sw.block.stage import StageDraft
from ouroboros.sw.block.tensors import Param, Run

__all__ = ["AttentionGroup"]

OPERAND_TOKEN, OPERAND_MAXIMUM, OPERAND_PARTIAL = range(3)


class AttentionGroup:
    """Cores that hold K and V of some KV heads of one block.

    Several members send their maxima to each other; each takes the largest. Member 0 is the home:
    it adds the partial contexts. All is int32, so that the result does not depend on the split.

    Parameters
    ----------
    draft : Draft
        The model under construction.
    layer : int
        Transformer block.
    cores : sequence of tuple of int
        The members.
    n : int
        Number of the group in the block.
    """

    def __init__(self, draft: Draft, layer: int, cores: Sequence[Position], n: int):
        self.draft, self.layer = draft, layer
        shape = draft.shape
        per_group = shape.n_kv_heads // len(draft.plan.blocks[layer].kv)
        self.kv_heads = range(n * per_group, (n + 1) * per_group)
        self.heads = range(self.kv_heads.start * draft.per_kv,
                           self.kv_heads.stop * draft.per_kv)
        names = [f".{n}.{k}" if len(cores) > 1 else f".{n}" for k in range(len(cores))]
        self.stages = [draft.stage("kv", layer, core, name)
                       for core, name in zip(cores, names, strict=True)]
        for k, stage in enumerate(self.stages):
            self._layout(stage, home=k == 0)

    def _layout(self, stage: StageDraft, *, home: bool) -> None:
        pad, lanes, heads = self.draft.head_pad, self.draft.lanes, len(self.heads)
        members = len(self.stages)
        stage.area("q", heads * pad, Type.I8)
        stage.area("k", len(self.kv_heads) * pad, Type.I8)
        stage.area("v", len(self.kv_heads) * pad, Type.I8)
        # Scores and e of whole blocks: the array reads past the last token.
        block = self.draft.machine.block_tokens
        tokens = -(-self.draft.context // (block * members)) * block
        # With several members all maxima are exchanged at once: every head keeps its scores.
        for h in range(heads if members > 1 else 1):
            stage.area(f"score{h}", tokens, Type.I32)
        stage.area("e", tokens, Type.I8)
        if self.draft.wide:
            stage.area("low", tokens, Type.I8)
        stage.area("scale", lanes, Type.I32)
        stage.area("out", heads * pad, Type.I8)
        if members > 1:
            stage.area("maxima", members * heads * lanes, Type.I32)
        if members > 1 or self.draft.wide:
            # Without an exchange a head's sums are normalised before those of the next.
            stage.area("acc", stage.words(self.draft.shape.head_dim, Type.I32) * lanes
                       * (heads if members > 1 else 1), Type.I32)
        # Behind the sums, so that both are sent and added as one vector; so are all members'.
        stage.area("c", heads * lanes, Type.I32)
        if home and members > 1:
            stage.area("others", (members - 1) * self._part_words(stage) * lanes, Type.I32)

    def _part_words(self, stage: StageDraft) -> int:
        """Words of a member's contexts, maxima and denominators."""
        return len(self.heads) * (stage.words(self.draft.shape.head_dim, Type.I32) + 1)

    def code(self, proj: ResidualGroup) -> None:
        """Programs of all members; the outputs go to the projection."""
        members = len(self.stages)
        for k, stage in enumerate(self.stages):
            stage.wait(OPERAND_TOKEN)
            stage.emit(Op.FREE, skip=0, need=Flag.FREE)
            for n in range(len(self.kv_heads)):
                stage.emit(Op.APPEND, head=n, k=self._head(stage, "k", n),
                           v=self._head(stage, "v", n))
            if members == 1:
                for n in range(len(self.heads)):
                    self._score(stage, n, 0, stage.at("c") + n)
                    self._exponentials(stage, n, 0)
                    if self.draft.wide:
                        self._context(stage, n, stage.at("acc"))
                        self._normalise_code(stage, n, stage.at("acc"))
                    else:
                        stage.emit(Op.CONTEXT, src=stage.at("e"), head=self._local(n))
                        self._normalise_code(stage, n, None)
            else:
                maxima = stage.at("maxima") + k * len(self.heads)
                for n in range(len(self.heads)):
                    self._score(stage, n, n, maxima + n)
                self._exchange_maxima(k)
                for n in range(len(self.heads)):
                    self._exponentials(stage, n, n)
                    self._context(stage, n, self._acc(stage, "acc", n))
                if k:
                    self._send_partial(k)
                    continue
                self._add_partials()
                for n in range(len(self.heads)):
                    self._normalise_code(stage, n, self._acc(stage, "acc", n))
            pad = self.draft.head_pad
            proj.take_inputs(stage, range(self.heads.start * pad, self.heads.stop * pad),
                             stage.at("out"))

    # Pieces

    def _head(self, stage: StageDraft, area: str, n: int) -> int:
        return stage.at(area) + n * stage.words(self.draft.head_pad, Type.I8)

    def _acc(self, stage: StageDraft, area: str, n: int) -> int:
        return stage.at(area) + n * stage.words(self.draft.shape.head_dim, Type.I32)

    def _local(self, n: int) -> int:
        return n // self.draft.per_kv

    def _score(self, stage: StageDraft, n: int, area: int, maximum: int) -> None:
        stage.emit(Op.SCORE, src=self._head(stage, "q", n), head=self._local(n))
        stage.sfu(Fn.MAC, d=stage.at(f"score{area}"), tokens=True, track=Track.MAX,
                  c=maximum, release=True)

    def _exponentials(self, stage: StageDraft, n: int, area: int) -> None:
        """Exponentials of one head, and their sum."""
        wide = self.draft.wide
        stage.sfu(Fn.EXP, a=stage.at(f"score{area}"), d=stage.at("e"), d_type=Type.I8,
                  tokens=True, c=stage.at("c") + n, m_mode=MMode.FIXED,
                  param=(Param("exp", self.layer, (Run(self.heads.start + n, 1),)), 0),
                  digits=wide, b=stage.at("low") if wide else 0)

    def _context(self, stage: StageDraft, n: int, acc: int) -> None:
        """Sums over V of one head to word ``acc``, in int32."""
        length = self.draft.shape.head_dim
        stage.emit(Op.CONTEXT, src=stage.at("e"), head=self._local(n))
        if not self.draft.wide:
            stage.sfu(Fn.MAC, d=acc, release=True, length=length)
            return
        keep_high(stage, acc, length)
        stage.emit(Op.CONTEXT, src=stage.at("low"), head=self._local(n))
        add_low(stage, acc, length)

    def _normalise_code(self, stage: StageDraft, n: int, acc: int | None) -> None:
        scale = stage.at("scale")
        stage.sfu(Fn.RECIP, c=stage.at("c") + n, d=scale)
        stage.sfu(Fn.MAC, a=acc, d=self._head(stage, "out", n), d_type=Type.I8,
                  length=self.draft.shape.head_dim, m_mode=MMode.SCALAR, c=scale,
                  release=acc is None)

    def _exchange_maxima(self, k: int) -> None:
        """Everyone's maxima to everyone."""
        stage, words = self.stages[k], len(self.heads)
        length = words * self.draft.lanes
        stage.send([other for other in self.stages if other is not stage],
                   operand=OPERAND_MAXIMUM, src=stage.at("maxima") + k * words, area="maxima",
                   flits=stage.flits(length, Type.I32), element=k * length)
        stage.wait(OPERAND_MAXIMUM)
        fold(stage, stage.at("maxima"), words, len(self.stages), fn=Fn.MAX, to=stage.at("c"))

    def _send_partial(self, k: int) -> None:
        """Partial contexts and (m, den) words to the home."""
        stage = self.stages[k]
        length = self._part_words(stage) * self.draft.lanes
        stage.send([self.stages[0]], operand=OPERAND_PARTIAL, src=stage.at("acc"),
                   flits=stage.flits(length, Type.I32), area="others",
                   element=(k - 1) * length)

    def _add_partials(self) -> None:
        """Adds the members' contexts and denominators; lane 1 of a C word is the denominator."""
        home = self.stages[0]
        home.wait(OPERAND_PARTIAL)
        fold(home, home.at("acc"), self._part_words(home), len(self.stages))
