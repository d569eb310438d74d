"""Places an integer model on a machine: layers to stages to cores to macros."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hw.params.isa import BMode, Fn, MMode, Track, Type
from hw.params.machine import Machine
from hw.params.packet import Flag
from sw.mapper.attention import AttentionGroup
from sw.mapper.core import CoreBuilder, MapperError
from sw.mapper.labels import LabelAllocator
from sw.mapper.layout import Layout, layout
from sw.mapper.program import Coordinate, EmbedTarget, Program, Role
from sw.mapper.stage import EFFECTLESS, Host, StageBuilder
from sw.quantise.model import Norm, QuantLayer, QuantModel, Requant

__all__ = ["SHARED_SLOTS", "SLOTS", "ModelMapper", "map_model"]

Ints = npt.NDArray[np.integer]
Operation = Callable[[int, int, bool], None]

STAGE_INDEX = {"lm": 0, "embed": 1, "embed_root": 2, "qkv": 0, "proj": 1, "proj_root": 2,
               "kv": 0, "up": 0, "down": 1, "down_root": 2}
"""Number of each kind of stage in its core; receivers of one multicast need the same number."""

SLOTS = {"lm": 2, "embed": 2, "qkv": 3, "proj": 6, "kv": 4, "up": 3, "down": 5}
"""Token slots of each kind of stage in a core of its own, cut to what the core has room for.

The residual waits at a projection while its token is in QKV and attention, at a down projection
while it is in up/gate: tokens under way there bound the throughput, so those two get more."""

SHARED_SLOTS = {"lm": 2, "embed": 2, "embed_root": 2, "qkv": 2, "proj": 4, "proj_root": 2,
                "up": 2, "down": 4, "down_root": 2}
"""Token slots where a core hosts several stages."""

OPERAND_MAIN, OPERAND_SECOND, OPERAND_SCALE, OPERAND_PARTIAL = range(4)
HOST_RESULT, HOST_LOGITS = range(2)


def map_model(machine: Machine, model: QuantModel, *, placement: str = "plain",
              context: int | None = None) -> Program:
    """Place ``model`` on ``machine``.

    Parameters
    ----------
    placement : str
        A name of ``sw.mapper.layout.PLACEMENTS``.
    context : int, optional
        Positions per sequence; the default is what model, page table and buffers allow, at most 256.

    Raises
    ------
    MapperError
        If something does not fit; the message names the limit and says by how much.
    """
    return ModelMapper(machine, model, layout(machine, model.shape, placement), context).program()


class ModelMapper:
    """Builds all stages of a model, then resolves their flows."""

    def __init__(self, machine: Machine, model: QuantModel, plan: Layout, context: int | None):
        self.machine, self.model, self.plan = machine, model, plan
        shape = model.shape
        lanes = machine.core.lanes
        members = len(plan.blocks[0].kv[0])
        room = machine.kv.blocks * members * machine.block_tokens
        self.context = min(shape.seq_len, room, 256) if context is None else context
        for what, limit in (("the model's seq_len", shape.seq_len), ("the page table", room)):
            if self.context > limit:
                raise MapperError(f"context must be at most {limit} ({what}), not {self.context}")
        # Vectors of one head begin at word boundaries.
        self.word = 4 * lanes
        self.head_pad = -(-shape.head_dim // self.word) * self.word
        if shape.dim % (self.word * len(plan.embed)):
            raise MapperError(f"dim must be a multiple of {self.word * len(plan.embed)} for "
                              f"placement {plan.name!r} on machine {machine.name!r}, "
                              f"not {shape.dim}")
        self.cores = {core: CoreBuilder(machine, core) for core in plan.cores}
        self.labels = LabelAllocator(machine)
        self.stages: list[StageBuilder] = []
        # Cores that occur under several headings of the layout, or host the root of a split norm.
        headings = Counter([*plan.embed, *plan.lm, *(
            core for block in plan.blocks
            for core in (*block.qkv, *block.proj, *block.up, *block.down))])
        self.shared = {core: headings[core] > 1 or len(plan.embed) > 1 for core in plan.cores}
        for block in plan.blocks:
            self.shared |= {core: False for group in block.kv for core in group}
        self.kv_blocks = 1 << 30

    # Helpers shared by the kinds of stage

    def stage(self, kind: str, layer: int, core: Coordinate, suffix: str = "") -> StageBuilder:
        """A new stage; its name follows from layer, kind and suffix."""
        prefix = f"l{layer}." if layer >= 0 else ""
        built = StageBuilder(
            self.cores[core], self.labels, name=f"{prefix}{kind}{suffix}", kind=kind, layer=layer,
            index=STAGE_INDEX[kind],
            slots=(SHARED_SLOTS if self.shared[core] else SLOTS)[kind])
        self.stages.append(built)
        return built

    def norm_param(self, core: CoreBuilder, norm: Norm) -> int:
        """Parameter word of RSQRT."""
        c = self.model.norm_c
        return core.params([c & 0xFFFF, c >> 16, norm.mg, norm.sg])

    def padded_requant(self, core: CoreBuilder, requant: Requant, rows: Ints) -> int:
        """Parameter words for output channels ``rows``; -1 marks padding (multiplier 0)."""
        return core.params(np.where(rows < 0, 0, requant.m[rows]))

    @staticmethod
    def gather(weights: Ints, rows: Ints) -> Ints:
        """Rows of a matrix; -1 gives a row of zeros."""
        return np.where(rows[:, None] < 0, 0, weights[rows]).astype(np.int8)

    def padded_heads(self, heads: range) -> Ints:
        """Channels of ``heads`` with each head padded to a word boundary by -1."""
        dim = self.model.shape.head_dim
        return np.concatenate([
            np.concatenate([np.arange(h * dim, (h + 1) * dim),
                            np.full(self.head_pad - dim, -1)]) for h in heads])

    def up_share(self, n: int, count: int) -> range:
        """Hidden channels of up/gate core ``n`` of ``count``; shares begin at word boundaries."""
        hidden = self.model.shape.hidden_dim
        share = -(-hidden // (count * self.word)) * self.word
        return range(min(n * share, hidden), min((n + 1) * share, hidden))

    def padded_length(self, count: int) -> int:
        """Elements rounded up to whole words of int8."""
        return -(-count // self.word) * self.word

    # The model

    def program(self) -> Program:
        """Build everything and collect the images."""
        plan, shape = self.plan, self.model.shape
        dim_slice = shape.dim // len(plan.embed)
        slices = [range(n * dim_slice, (n + 1) * dim_slice) for n in range(len(plan.embed))]

        embed = [self.residual_stage("embed", -1, core, n, slices) for n, core in
                 enumerate(plan.embed)]
        blocks = []
        for n, block in enumerate(plan.blocks):
            qkv = [self.qkv_stage(n, core, k, len(block.qkv)) for k, core in enumerate(block.qkv)]
            kv = [AttentionGroup(self, n, group, k, len(block.kv)) for k, group in enumerate(block.kv)]
            proj = [self.residual_stage("proj", n, core, k, slices)
                    for k, core in enumerate(block.proj)]
            up = [self.up_stage(n, core, k) for k, core in enumerate(block.up)]
            down = [self.residual_stage("down", n, core, k, slices)
                    for k, core in enumerate(block.down)]
            blocks.append((qkv, kv, proj, up, down))
        lm = [self.lm_stage(core, n) for n, core in enumerate(plan.lm)]

        # Programs are written once every stage's slot layout is known.
        first_qkv, _, first_proj, _, _ = blocks[0]
        self.residual_code(embed, None, self.model.layers[0].norm1, first_qkv, first_proj, slices)
        for n, (qkv, kv, proj, up, down) in enumerate(blocks):
            layer = self.model.layers[n]
            last = n == len(blocks) - 1
            for k, stage in enumerate(qkv):
                self.qkv_code(stage, layer, k, len(qkv), kv)
            for group in kv:
                group.code(layer, proj)
            self.residual_code(proj, layer, layer.norm2, up, down, slices)
            for k, stage in enumerate(up):
                self.up_code(stage, layer, k, len(up), down)
            self.residual_code(
                down, layer, self.model.norm_final if last else self.model.layers[n + 1].norm1,
                lm if last else blocks[n + 1][0], [] if last else blocks[n + 1][2], slices)
        self.lm_code(lm)

        host_counters = []
        for n, stage in enumerate(embed):
            stage.senders.append((self.machine.host, n))
            stage.packets[OPERAND_MAIN] += self.host_packets(stage, n, dim_slice)
            host_counters.append(n)
        for stage in self.stages:
            stage.finish()
        for core, table in self.labels.tables.items():
            builder = self.cores.setdefault(core, CoreBuilder(self.machine, core))
            for label, ports in table.items():
                builder.label(label, ports)
        return Program(
            machine=self.machine, placement=plan.name, context=self.context,
            sequences=self.machine.kv.sequences, vocab_size=shape.vocab_size, dim=shape.dim,
            images={core: builder.image() for core, builder in self.cores.items()},
            embed=tuple(EmbedTarget(
                core=stage.info.core, stage=stage.info.index, first=slices[n].start,
                channels=dim_slice, counter=host_counters[n], slots=stage.info.slots,
                rope_offset=stage.flit_offset(stage.areas["rope"]) if n == 0 else -1)
                for n, stage in enumerate(embed)),
            logit_slices=tuple((stage.info.core, share.start, len(share))
                               for n, stage in enumerate(lm) for share in [self.lm_share(n)]),
            result_core=lm[0].info.core,
            stages=tuple(stage.info for stage in self.stages),
            roles=tuple(Role(core=core, stages=tuple(builder.stage_names),
                             macros_used=builder.macros_used)
                        for core, builder in self.cores.items() if builder.stage_names),
            kv_blocks=self.kv_blocks)

    def host_packets(self, stage: StageBuilder, n: int, dim_slice: int) -> int:
        """Packets of a token that the host sends to an embed slice."""
        packets = -(-stage.flits(dim_slice, Type.I16) // 8)
        if n == 0:
            packets += -(-stage.flits(self.model.shape.head_dim, Type.I16) // 8)
        return packets

    # Residual slices: embed, projection, down

    def residual_stage(self, kind: str, layer: int, core: Coordinate, n: int,
                       slices: Sequence[range]) -> StageBuilder:
        """Slot layout of residual slice ``n``."""
        shape = self.model.shape
        split = len(slices) > 1
        stage = self.stage(kind, layer, core, f".{n}" if split else "")
        stage.area("x", len(slices[n]), Type.I16)
        stage.area("rope", self.head_pad, Type.I16)
        if kind == "proj":
            stage.area("input", shape.n_heads * self.head_pad, Type.I8)
        if kind == "down":
            # Every slice has room for the largest share: one multicast address fits all slices.
            stage.area("input", self.padded_length(len(self.up_share(0, len(slices)))), Type.I8)
            if split:
                stage.area("acc", shape.dim, Type.I32)
                stage.area("partial", len(slices[n]) * (len(slices) - 1), Type.I32)
        stage.area("sumsq", self.machine.core.lanes, Type.I32)
        stage.area("scale", self.machine.core.lanes, Type.I32)
        stage.area("h", len(slices[n]), Type.I8)
        if split and n == 0:
            root = self.stage(f"{kind}_root", layer, core)
            root.area("sumsq", self.machine.core.lanes * len(slices), Type.I32)
            root.area("scale", self.machine.core.lanes, Type.I32)
        return stage

    def residual_code(self, stages: Sequence[StageBuilder], layer: QuantLayer | None, norm: Norm,
                      consumers: Sequence[StageBuilder], successors: Sequence[StageBuilder],
                      slices: Sequence[range]) -> None:
        """Programs of all slices of one residual stage: input, update, norm, hand-over."""
        root = next((s for s in self.stages if s.info.kind == f"{stages[0].info.kind}_root"
                     and s.info.layer == stages[0].info.layer), None)
        for n, stage in enumerate(stages):
            kind, channels = stage.info.kind, slices[n]
            x, sumsq = stage.areas["x"], stage.areas["sumsq"]
            if kind == "embed":
                stage.wait(OPERAND_MAIN)
                squared = False
            elif kind == "proj":
                assert layer is not None
                stage.wait(OPERAND_MAIN)
                stage.wait(OPERAND_SECOND)
                columns = self.padded_heads(range(self.model.shape.n_heads))
                weights = np.where(columns < 0, 0, layer.wo[channels][:, columns]).astype(np.int8)
                squared = self.update_code(stage, weights, layer.rq_o, channels)
            elif len(stages) == 1:
                assert layer is not None
                stage.wait(OPERAND_MAIN)
                stage.wait(OPERAND_SECOND)
                squared = self.update_code(stage, layer.w2, layer.rq_2, channels)
            else:
                assert layer is not None
                squared = self.split_down_code(stages, n, layer, slices)
            if not squared:
                stage.sfu(Fn.MAC, a=x, a_type=Type.I16, d=x, d_type=Type.I16,
                          length=len(channels), track=Track.SUMSQ, c=sumsq)
            self.norm_code(stages, n, norm, root)
            self.hand_over_code(stage, n, channels, consumers, successors)
        if root is not None:
            self.root_code(root, norm, stages)

    def update_code(self, stage: StageBuilder, weights: Ints, requant: Requant,
                    channels: range) -> bool:
        """``x += rnd(acc * M, S)``; true if the sum of squares came with it."""
        plan = stage.core.place_matrix(weights, stage.core.take_macros(self.share(stage)))
        param = stage.core.params(requant.m[channels.start:channels.stop])
        x, one = stage.areas["x"], len(plan.passes) == 1

        def update(start: int, count: int, release: bool) -> None:
            word = x + stage.words(start, Type.I16)
            stage.sfu(Fn.MAC, b=word, b_mode=BMode.RESIDUAL16, d=word, d_type=Type.I16,
                      length=count, m_mode=MMode.PARAM, param=param + start // self.lanes,
                      shift=requant.s, release=release, c=stage.areas["sumsq"],
                      track=Track.SUMSQ if one else Track.NONE)

        stage.matrix(plan, stage.areas["input"], [(0, len(channels), update)])
        return one

    @property
    def lanes(self) -> int:
        """Elements of a parameter word."""
        return self.machine.core.lanes

    def share(self, stage: StageBuilder) -> int:
        """Macros for a stage's matrix: all that are left, or half if a stage is to follow."""
        kinds = [s.info.kind for s in self.stages if s.core is stage.core
                 and s.info.kind in ("qkv", "proj", "up", "down", "lm")]
        left = stage.core.macros_left
        return left // 2 if len(kinds) > 1 and stage.info.kind == kinds[0] else left

    def split_down_code(self, stages: Sequence[StageBuilder], n: int, layer: QuantLayer,
                        slices: Sequence[range]) -> bool:
        """Down projection whose inputs lie on several cores: int32 partial sums change cores."""
        stage, channels = stages[n], slices[n]
        hidden = self.up_share(n, len(stages))
        acc, x = stage.areas["acc"], stage.areas["x"]
        stage.wait(OPERAND_SECOND)
        plan = stage.core.place_matrix(layer.w2[:, hidden.start:hidden.stop],
                                       stage.core.take_macros(self.share(stage)))

        def keep(start: int, count: int, release: bool) -> None:
            stage.sfu(Fn.MAC, d=acc + stage.words(start, Type.I32), length=count, release=release)

        stage.matrix(plan, stage.areas["input"], [(0, self.model.shape.dim, keep)])
        own = acc + stage.words(channels.start, Type.I32)
        for k, other in enumerate(stages):
            if k != n:
                place = n if n < k else n - 1
                stage.send([other], operand=OPERAND_PARTIAL,
                           src=acc + stage.words(slices[k].start, Type.I32),
                           flits=stage.flits(len(slices[k]), Type.I32),
                           dst=stage.flit_offset(other.areas["partial"],
                                                 place * len(slices[k]), Type.I32))
        stage.wait(OPERAND_PARTIAL)
        stage.wait(OPERAND_MAIN)
        for k in range(len(stages) - 1):
            stage.sfu(Fn.MAC, a=own, b_mode=BMode.ADD32, d=own, length=len(channels),
                      b=stage.areas["partial"] + k * stage.words(len(channels), Type.I32))
        stage.sfu(Fn.MAC, a=own, b=x, b_mode=BMode.RESIDUAL16, d=x, d_type=Type.I16,
                  length=len(channels), m_mode=MMode.PARAM, shift=layer.rq_2.s,
                  param=stage.core.params(layer.rq_2.m[channels.start:channels.stop]),
                  track=Track.SUMSQ, c=stage.areas["sumsq"])
        return True

    def norm_code(self, stages: Sequence[StageBuilder], n: int, norm: Norm,
                  root: StageBuilder | None) -> None:
        """``h = sat8(rnd(x * Y, shift))``; (Y, shift) made here or by the root."""
        stage = stages[n]
        scale = stage.areas["scale"]
        if root is None:
            stage.sfu(Fn.RSQRT, c=stage.areas["sumsq"], d=scale,
                      param=self.norm_param(stage.core, norm))
        else:
            stage.send([root], operand=OPERAND_MAIN, src=stage.areas["sumsq"],
                       flits=stage.flits(self.lanes, Type.I32),
                       dst=stage.flit_offset(root.areas["sumsq"] + n))
            stage.wait(OPERAND_SCALE)
        channels = self.model.shape.dim // len(stages)
        stage.sfu(Fn.MAC, a=stage.areas["x"], a_type=Type.I16, d=stage.areas["h"],
                  d_type=Type.I8, length=channels, m_mode=MMode.SCALAR, c=scale)

    def root_code(self, root: StageBuilder, norm: Norm, stages: Sequence[StageBuilder]) -> None:
        """Adds the slices' sums of squares and returns (Y, shift)."""
        total = root.areas["sumsq"]
        root.wait(OPERAND_MAIN)
        for n in range(1, len(stages)):
            root.sfu(Fn.MAC, a=total, b=total + n, b_mode=BMode.ADD32, d=total, length=self.lanes)
        root.sfu(Fn.RSQRT, c=total, d=root.areas["scale"],
                 param=self.norm_param(root.core, norm))
        root.send(stages, operand=OPERAND_SCALE, src=root.areas["scale"],
                  flits=root.flits(self.lanes, Type.I32),
                  dst=root.flit_offset(stages[0].areas["scale"]))

    def hand_over_code(self, stage: StageBuilder, n: int, channels: range,
                       consumers: Sequence[StageBuilder],
                       successors: Sequence[StageBuilder]) -> None:
        """Sends h (and the RoPE row to QKV), then x (and the RoPE row) to the next residual."""
        rope_flits = stage.flits(self.model.shape.head_dim, Type.I16)
        stage.send(consumers, operand=OPERAND_MAIN, src=stage.areas["h"],
                   flits=stage.flits(len(channels), Type.I8),
                   dst=stage.flit_offset(consumers[0].areas["h"], channels.start, Type.I8))
        if n == 0 and consumers[0].info.kind == "qkv":
            stage.send(consumers, operand=OPERAND_MAIN, src=stage.areas["rope"], flits=rope_flits,
                       dst=stage.flit_offset(consumers[0].areas["rope"]))
        if successors:
            after = successors[n]
            stage.send([after], operand=OPERAND_MAIN, src=stage.areas["x"],
                       flits=stage.flits(len(channels), Type.I16),
                       dst=stage.flit_offset(after.areas["x"]))
            if n == 0:
                stage.send([after], operand=OPERAND_MAIN, src=stage.areas["rope"],
                           flits=rope_flits, dst=stage.flit_offset(after.areas["rope"]))

    # QKV

    def qkv_stage(self, layer: int, core: Coordinate, n: int, count: int) -> StageBuilder:
        """Slot layout of QKV core ``n``."""
        shape = self.model.shape
        kv_heads = shape.n_kv_heads // count
        heads = shape.n_heads // count
        stage = self.stage("qkv", layer, core, f".{n}" if count > 1 else "")
        stage.area("h", shape.dim, Type.I8)
        stage.area("rope", self.head_pad, Type.I16)
        for name, number in (("q", heads), ("k", kv_heads)):
            stage.area(f"{name}16", number * self.head_pad, Type.I16)
            stage.area(f"{name}8", number * self.head_pad, Type.I8)
        stage.area("v8", kv_heads * self.head_pad, Type.I8)
        return stage

    def qkv_code(self, stage: StageBuilder, layer: QuantLayer, n: int, count: int,
                 groups: Sequence[AttentionGroup]) -> None:
        """q, k, v of this core's heads: multiply, requantise, rotate, send to the KV cores."""
        shape, pad, areas = self.model.shape, self.head_pad, stage.areas
        per_kv = shape.n_heads // shape.n_kv_heads
        kv_heads = range(n * shape.n_kv_heads // count, (n + 1) * shape.n_kv_heads // count)
        heads = range(kv_heads.start * per_kv, kv_heads.stop * per_kv)
        rows_q, rows_kv = self.padded_heads(heads), self.padded_heads(kv_heads)
        weights = np.concatenate([self.gather(layer.wq, rows_q), self.gather(layer.wk, rows_kv),
                                  self.gather(layer.wv, rows_kv)])
        plan = stage.core.place_matrix(weights, stage.core.take_macros(self.share(stage)))

        def requantise(area: int, kind: Type, requant: Requant, rows: Ints) -> Operation:
            param = self.padded_requant(stage.core, requant, rows)

            def operation(start: int, length: int, release: bool) -> None:
                stage.sfu(Fn.MAC, d=area + stage.words(start, kind), d_type=kind, length=length,
                          m_mode=MMode.PARAM, param=param + start // self.lanes,
                          shift=requant.s, release=release)
            return operation

        stage.wait(OPERAND_MAIN)
        stage.matrix(plan, areas["h"], [
            (0, len(rows_q), requantise(areas["q16"], Type.I16, layer.rq_q, rows_q)),
            (len(rows_q), len(rows_kv),
             requantise(areas["k16"], Type.I16, layer.rq_k, rows_kv)),
            (len(rows_q) + len(rows_kv), len(rows_kv),
             requantise(areas["v8"], Type.I8, layer.rq_v, rows_kv))])
        for name, number in (("q", len(heads)), ("k", len(kv_heads))):
            stage.sfu(Fn.ROPE, a=areas[f"{name}16"], a_type=Type.I16, d=areas[f"{name}8"],
                      d_type=Type.I8, b=areas["rope"], b_wrap=pad // self.lanes,
                      length=number * pad, shift=20)
        for group in groups:
            if group.kv_heads.start not in kv_heads:
                continue
            first = group.kv_heads.start - kv_heads.start
            number = len(group.kv_heads)
            for name, start, vectors in (("q", first * per_kv, number * per_kv),
                                         ("k", first, number), ("v", first, number)):
                stage.send(group.stages, operand=OPERAND_MAIN,
                           src=areas[f"{name}8"] + stage.words(start * pad, Type.I8),
                           flits=stage.flits(vectors * pad, Type.I8),
                           dst=stage.flit_offset(group.stages[0].areas[name]))

    # Feed-forward

    def up_stage(self, layer: int, core: Coordinate, n: int) -> StageBuilder:
        """Slot layout of up/gate core ``n``."""
        count = len(self.plan.blocks[layer].up)
        stage = self.stage("up", layer, core, f".{n}" if count > 1 else "")
        hidden = self.padded_length(len(self.up_share(n, count)))
        stage.area("h", self.model.shape.dim, Type.I8)
        for name in ("u", "t", "f"):
            stage.area(name, hidden, Type.I8)
        return stage

    def up_code(self, stage: StageBuilder, layer: QuantLayer, n: int, count: int,
                down: Sequence[StageBuilder]) -> None:
        """Gate and up of this core's hidden channels, SiLU, to the down core that has the rows."""
        share, areas = self.up_share(n, count), stage.areas
        length = self.padded_length(len(share))
        rows = np.concatenate([np.arange(share.start, share.stop),
                               np.full(length - len(share), -1)])
        weights = np.concatenate([self.gather(layer.w1, rows), self.gather(layer.w3, rows)])
        plan = stage.core.place_matrix(weights, stage.core.take_macros(self.share(stage)))

        def requantise(area: int, requant: Requant, wide: bool) -> Operation:
            param = self.padded_requant(stage.core, requant, rows)

            def operation(start: int, number: int, release: bool) -> None:
                stage.sfu(Fn.MAC, d=area + stage.words(start, Type.I8), d_type=Type.I8,
                          length=number, m_mode=MMode.PARAM, wide=wide, shift=requant.s,
                          param=param + start // self.lanes, release=release)
            return operation

        stage.wait(OPERAND_MAIN)
        stage.matrix(plan, areas["h"], [
            (0, length, requantise(areas["u"], layer.rq_1, True)),
            (length, length, requantise(areas["t"], layer.rq_3, False))])
        stage.core.silu(layer.silu)
        stage.sfu(Fn.SILU, a=areas["u"], a_type=Type.I8, b=areas["t"], d=areas["f"],
                  d_type=Type.I8, length=length, m_mode=MMode.FIXED,
                  param=stage.core.params([layer.mf]), shift=layer.sf)
        # Up/gate core n makes the inputs of down core n.
        stage.send([down[n]], operand=OPERAND_SECOND, src=areas["f"],
                   flits=stage.flits(length, Type.I8),
                   dst=stage.flit_offset(down[n].areas["input"]))

    # LM head

    def lm_share(self, n: int) -> range:
        """Token ids of LM core ``n``."""
        vocab, count = self.model.shape.vocab_size, len(self.plan.lm)
        share = -(-vocab // (count * self.word)) * self.word
        return range(min(n * share, vocab), min((n + 1) * share, vocab))

    def lm_stage(self, core: Coordinate, n: int) -> StageBuilder:
        """Slot layout of LM core ``n``."""
        stage = self.stage("lm", -1, core, f".{n}" if len(self.plan.lm) > 1 else "")
        stage.area("h", self.model.shape.dim, Type.I8)
        stage.area("logits", len(self.lm_share(n)), Type.I32)
        stage.area("best", self.lanes, Type.I32)
        stage.area("next", self.lanes, Type.I32)
        if n == 0:
            stage.area("others", self.lanes * max(len(self.plan.lm) - 1, 1), Type.I32)
        return stage

    def lm_code(self, stages: Sequence[StageBuilder]) -> None:
        """Logits and argmax; core 0 picks the best of all and tells the host."""
        host = Host(self.machine.host)
        requant = self.model.rq_head
        skip = EFFECTLESS | Flag.QUIET
        for n, stage in reversed([*enumerate(stages)]):
            share, areas = self.lm_share(n), stage.areas
            weights = self.model.head[share.start:share.stop]
            plan = stage.core.place_matrix(weights, stage.core.take_macros(self.share(stage)))
            param = stage.core.params(requant.m[share.start:share.stop])

            def score(start: int, count: int, release: bool) -> None:
                base = share.start + start  # noqa: B023 - used before the next turn of the loop
                stage.sfu(Fn.MAC, skip=skip, d=areas["logits"] + stage.words(start, Type.I32),
                          length=count, m_mode=MMode.PARAM, param=param + start // self.lanes,
                          shift=requant.s, release=release, track=Track.ARGMAX,
                          c=areas["next" if start else "best"], b=base & 0xFFF,
                          b_wrap=base >> 12)
                if start:
                    stage.sfu(Fn.PICK, skip=skip, a=areas["best"], b=areas["next"],
                              d=areas["best"], length=self.lanes)

            stage.wait(OPERAND_MAIN)
            stage.matrix(plan, areas["h"], [(0, len(share), score)], skip=skip)
            stage.send(host, operand=HOST_LOGITS, src=areas["logits"], skip=skip,
                       flits=stage.flits(len(share), Type.I32), need=Flag.STREAM,
                       dst=share.start * 32 // self.machine.noc.flit_bits)
            if n:
                stage.send([stages[0]], operand=OPERAND_SECOND, src=areas["best"],
                           flits=stage.flits(self.lanes, Type.I32),
                           dst=stage.flit_offset(stages[0].areas["others"] + n - 1))
        first = stages[0]
        if len(stages) > 1:
            first.wait(OPERAND_SECOND)
        for n in range(len(stages) - 1):
            first.sfu(Fn.PICK, skip=skip, a=first.areas["best"], b=first.areas["others"] + n,
                      d=first.areas["best"], length=self.lanes)
        first.send(host, operand=HOST_RESULT, src=first.areas["best"], flits=1, dst=0)


