"""Attention of a group of KV heads: one core, or several that share the group's tokens."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type
from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.digits import add_low, keep_high
from ouroboros.sw.block.draft import Draft
from ouroboros.sw.block.residual import ResidualGroup
from ouroboros.sw.block.stage import StageDraft
from ouroboros.sw.block.tensors import Param, Run

__all__ = ["AttentionGroup"]

OPERAND_TOKEN, OPERAND_MAXIMUM, OPERAND_PARTIAL = range(3)


class AttentionGroup:
    """Cores that hold K and V of some KV heads of one block.

    Member 0 is the home: with several members it combines the maxima, returns them and adds the
    partial contexts, all as int32, so that the result does not depend on the split.

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
        stage.area("c", heads * lanes, Type.I32)
        stage.area("scale", lanes, Type.I32)
        stage.area("out", heads * pad, Type.I8)
        if members > 1 or self.draft.wide:
            context = stage.words(self.draft.shape.head_dim, Type.I32) * lanes
            # Without an exchange a head's sums are normalised before those of the next.
            context *= heads if members > 1 else 1
            stage.area("acc", context, Type.I32)
            if home and members > 1:
                stage.area("maxima", (members - 1) * heads * lanes, Type.I32)
                stage.area("dens", (members - 1) * heads * lanes, Type.I32)
                stage.area("accs", (members - 1) * context, Type.I32)

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
                    self._score(stage, n, 0)
                    self._exponentials(stage, n, 0)
                    if self.draft.wide:
                        self._context(stage, n, stage.at("acc"))
                        self._normalise_code(stage, n, stage.at("acc"))
                    else:
                        stage.emit(Op.CONTEXT, src=stage.at("e"), head=self._local(n))
                        self._normalise_code(stage, n, None)
            else:
                for n in range(len(self.heads)):
                    self._score(stage, n, n)
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

    def _score(self, stage: StageDraft, n: int, area: int) -> None:
        stage.emit(Op.SCORE, src=self._head(stage, "q", n), head=self._local(n))
        stage.sfu(Fn.MAC, d=stage.at(f"score{area}"), tokens=True, track=Track.MAX,
                  c=stage.at("c") + n, release=True)

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
        """Everyone's maxima to the home, their maximum back to everyone."""
        home, stage = self.stages[0], self.stages[k]
        words = len(self.heads)
        length = words * self.draft.lanes
        flits = stage.flits(length, Type.I32)
        if k:
            stage.send([home], operand=OPERAND_MAXIMUM, src=stage.at("c"), flits=flits,
                       area="maxima", element=(k - 1) * length)
            stage.wait(OPERAND_MAXIMUM)
            return
        stage.wait(OPERAND_MAXIMUM)
        for other in range(len(self.stages) - 1):
            stage.sfu(Fn.MAX, a=stage.at("c"), b=stage.at("maxima") + other * words,
                      d=stage.at("c"), length=length)
        stage.send(self.stages[1:], operand=OPERAND_MAXIMUM, src=stage.at("c"), flits=flits,
                   area="c")

    def _send_partial(self, k: int) -> None:
        """Partial context and (m, den) words to the home."""
        home, stage = self.stages[0], self.stages[k]
        lanes = self.draft.lanes
        context = self._acc(stage, "acc", len(self.heads)) - stage.at("acc")
        for src, place, words in (("acc", "accs", context), ("c", "dens", len(self.heads))):
            stage.send([home], operand=OPERAND_PARTIAL, src=stage.at(src),
                       flits=stage.flits(words * lanes, Type.I32),
                       area=place, element=(k - 1) * words * lanes)

    def _add_partials(self) -> None:
        """Adds the members' contexts and denominators; lane 1 of a C word is the denominator."""
        home, lanes = self.stages[0], self.draft.lanes
        home.wait(OPERAND_PARTIAL)
        context = self._acc(home, "acc", len(self.heads)) - home.at("acc")
        for other in range(len(self.stages) - 1):
            for own, theirs, words in (("acc", "accs", context), ("c", "dens", len(self.heads))):
                home.sfu(Fn.MAC, a=home.at(own), b=home.at(theirs) + other * words,
                         b_mode=BMode.ADD32, d=home.at(own), length=words * lanes)
