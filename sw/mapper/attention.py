"""Attention of a group of KV heads: one core, or several that share the group's tokens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hw.params.isa import BMode, Fn, MMode, Op, Track, Type
from hw.params.packet import Flag
from sw.mapper.program import Coordinate
from sw.mapper.stage import StageBuilder
from sw.quantise.model import QuantLayer

if TYPE_CHECKING:
    from sw.mapper.mapper import ModelMapper

__all__ = ["AttentionGroup"]

OPERAND_TOKEN, OPERAND_MAXIMUM, OPERAND_PARTIAL = range(3)
OPERAND_OUTPUT = 1
"""Operand of the projection that takes attention outputs."""


class AttentionGroup:
    """Cores that hold K and V of some KV heads of one block.

    Member 0 is the home: with several members it combines the maxima, returns them and adds the
    partial contexts, all as int32, so that the result does not depend on the split.
    """

    def __init__(self, mapper: "ModelMapper", layer: int, cores: Sequence[Coordinate], n: int,
                 groups: int):
        self.mapper = mapper
        shape, machine = mapper.model.shape, mapper.machine
        per_group = shape.n_kv_heads // groups
        self.kv_heads = range(n * per_group, (n + 1) * per_group)
        per_kv = shape.n_heads // shape.n_kv_heads
        self.heads = range(self.kv_heads.start * per_kv, self.kv_heads.stop * per_kv)
        self.stages: list[StageBuilder] = []
        lanes, pad, split = machine.core.lanes, mapper.head_pad, len(cores) > 1
        tokens = mapper.context
        if split:
            blocks = -(-mapper.context // machine.block_tokens)
            tokens = -(-blocks // len(cores)) * machine.block_tokens
        for k, core in enumerate(cores):
            builder = mapper.cores[core]
            suffix = f".{n}" + (f".{k}" if split else "")
            stage = mapper.stage("kv", layer, core, suffix)
            stage.area("q", len(self.heads) * pad, Type.I8)
            stage.area("k", per_group * pad, Type.I8)
            stage.area("v", per_group * pad, Type.I8)
            for h in range(len(self.heads) if split else 1):
                stage.area(f"score{h}", tokens, Type.I32)
            stage.area("e", tokens, Type.I8)
            stage.area("c", len(self.heads) * lanes, Type.I32)
            stage.area("scale", lanes, Type.I32)
            stage.area("out", len(self.heads) * pad, Type.I8)
            if split:
                context_words = stage.words(shape.head_dim, Type.I32) * len(self.heads)
                stage.area("acc", context_words * lanes, Type.I32)
                others = len(cores) - 1 if k == 0 else 0
                stage.area("maxima", others * len(self.heads) * lanes, Type.I32)
                stage.area("dens", others * len(self.heads) * lanes, Type.I32)
                stage.area("accs", others * context_words * lanes, Type.I32)
            stage.fit_slots()
            self.stages.append(stage)
            macros = builder.take_macros(builder.macros_left)
            half = max(len(macros) // 2, 1)
            blocks_k, blocks_v = builder.set_kv(
                k_macros=macros[:half], v_macros=macros[half:], head_dim=shape.head_dim,
                heads=per_group, members=len(cores), member=k)
            mapper.kv_blocks = min(mapper.kv_blocks, blocks_k, blocks_v)

    def code(self, layer: QuantLayer, proj: Sequence[StageBuilder]) -> None:
        """Programs of all members."""
        members = len(self.stages)
        for k, stage in enumerate(self.stages):
            stage.wait(OPERAND_TOKEN)
            stage.emit(Op.FREE, skip=0, need=Flag.FREE)
            for n in range(len(self.kv_heads)):
                stage.emit(Op.APPEND, head=n, k=self._head(stage, "k", n),
                           v=self._head(stage, "v", n))
            params = [stage.core.params([int(layer.me[head])]) for head in self.heads]
            if members == 1:
                for n in range(len(self.heads)):
                    self._score(stage, n, 0)
                    self._context(stage, layer, n, 0, params[n])
                    self._normalise_code(stage, n, None)
            else:
                for n in range(len(self.heads)):
                    self._score(stage, n, n)
                self._exchange_maxima(k)
                for n in range(len(self.heads)):
                    self._context(stage, layer, n, n, params[n])
                    stage.sfu(Fn.MAC, d=self._acc(stage, "acc", n), release=True,
                              length=self.mapper.model.shape.head_dim)
                if k:
                    self._send_partial(k)
                    continue
                self._add_partials()
                for n in range(len(self.heads)):
                    self._normalise_code(stage, n, self._acc(stage, "acc", n))
            stage.send(proj, operand=OPERAND_OUTPUT, src=stage.areas["out"],
                       flits=stage.flits(len(self.heads) * self.mapper.head_pad, Type.I8),
                       dst=stage.flit_offset(proj[0].areas["input"],
                                             self.heads.start * self.mapper.head_pad, Type.I8))

    # Pieces

    def _head(self, stage: StageBuilder, area: str, n: int) -> int:
        return stage.areas[area] + n * stage.words(self.mapper.head_pad, Type.I8)

    def _acc(self, stage: StageBuilder, area: str, n: int) -> int:
        return stage.areas[area] + n * stage.words(self.mapper.model.shape.head_dim, Type.I32)

    def _local(self, n: int) -> int:
        shape = self.mapper.model.shape
        return n // (shape.n_heads // shape.n_kv_heads)

    def _score(self, stage: StageBuilder, n: int, area: int) -> None:
        stage.emit(Op.SCORE, src=self._head(stage, "q", n), head=self._local(n))
        stage.sfu(Fn.MAC, d=stage.areas[f"score{area}"], tokens=True, track=Track.MAX,
                  c=stage.areas["c"] + n, release=True)

    def _context(self, stage: StageBuilder, layer: QuantLayer, n: int, area: int,
                 param: int) -> None:
        """e and den of one head, then the sums over V, left in the drain registers."""
        stage.sfu(Fn.EXP, a=stage.areas[f"score{area}"], d=stage.areas["e"], d_type=Type.I8,
                  tokens=True, c=stage.areas["c"] + n, m_mode=MMode.FIXED, param=param,
                  shift=layer.se)
        stage.emit(Op.CONTEXT, src=stage.areas["e"], head=self._local(n))

    def _normalise_code(self, stage: StageBuilder, n: int, acc: int | None) -> None:
        scale = stage.areas["scale"]
        stage.sfu(Fn.RECIP, c=stage.areas["c"] + n, d=scale)
        stage.sfu(Fn.MAC, a=acc, d=self._head(stage, "out", n), d_type=Type.I8,
                  length=self.mapper.model.shape.head_dim, m_mode=MMode.SCALAR, c=scale,
                  release=acc is None)

    def _exchange_maxima(self, k: int) -> None:
        """Everyone's maxima to the home, their maximum back to everyone."""
        home, stage = self.stages[0], self.stages[k]
        words = len(self.heads)
        length = words * self.mapper.machine.core.lanes
        flits = stage.flits(length, Type.I32)
        if k:
            stage.send([home], operand=OPERAND_MAXIMUM, src=stage.areas["c"], flits=flits,
                       dst=stage.flit_offset(home.areas["maxima"] + (k - 1) * words))
            stage.wait(OPERAND_MAXIMUM)
            return
        stage.wait(OPERAND_MAXIMUM)
        for other in range(len(self.stages) - 1):
            stage.sfu(Fn.MAX, a=stage.areas["c"], b=stage.areas["maxima"] + other * words,
                      d=stage.areas["c"], length=length)
        stage.send(self.stages[1:], operand=OPERAND_MAXIMUM, src=stage.areas["c"], flits=flits,
                   dst=stage.flit_offset(self.stages[1].areas["c"]))

    def _send_partial(self, k: int) -> None:
        """Partial context and (m, den) words to the home."""
        home, stage = self.stages[0], self.stages[k]
        lanes = self.mapper.machine.core.lanes
        context = self._acc(stage, "acc", len(self.heads)) - stage.areas["acc"]
        for src, place, words in (("acc", "accs", context), ("c", "dens", len(self.heads))):
            stage.send([home], operand=OPERAND_PARTIAL, src=stage.areas[src],
                       flits=stage.flits(words * lanes, Type.I32),
                       dst=stage.flit_offset(home.areas[place] + (k - 1) * words))

    def _add_partials(self) -> None:
        """Adds the members' contexts and denominators; lane 1 of a C word is the denominator."""
        home, lanes = self.stages[0], self.mapper.machine.core.lanes
        home.wait(OPERAND_PARTIAL)
        context = self._acc(home, "acc", len(self.heads)) - home.areas["acc"]
        for other in range(len(self.stages) - 1):
            for own, theirs, words in (("acc", "accs", context), ("c", "dens", len(self.heads))):
                home.sfu(Fn.MAC, a=home.areas[own], b=home.areas[theirs] + other * words,
                         b_mode=BMode.ADD32, d=home.areas[own], length=words * lanes)
