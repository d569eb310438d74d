"""Stage programs of a transformer block and of the LM head, by the rules of ``sw.mapper``."""

from collections.abc import Sequence

from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.substage import Inflow, Sizes, SubStage, Tiling, columns, divide, ins
from ouroboros.sw.program.image import Instruction

__all__ = ["attention", "attention_parts", "lm_head", "norm_root", "projection", "qkv", "reduced",
           "up_gate"]


def requantise(length: int, kind: Type, *, release: bool = False, b_mode: BMode = BMode.NONE,
               track: Track = Track.NONE) -> Instruction:
    """From the drain stream, with a multiplier for each output."""
    return ins(Op.SFU, fn=Fn.MAC, a_array=1, d_type=kind, length=length, m_mode=MMode.PARAM,
               b_mode=b_mode, track=track, release=int(release))


def scale(length: int) -> Instruction:
    """A vector times (M, S) of word C: the last step of a norm."""
    return ins(Op.SFU, fn=Fn.MAC, a_type=Type.I16, d_type=Type.I8, length=length,
               m_mode=MMode.SCALAR)


def add(length: int) -> Instruction:
    """Adds two int32 vectors."""
    return ins(Op.SFU, fn=Fn.MAC, a_type=Type.I32, b_mode=BMode.ADD32, d_type=Type.I32,
               length=length, m_mode=MMode.UNITY)


def qkv(machine: Machine, shape: ModelShape, *, senders: int, members: int) -> SubStage:
    """Q, K and V of some heads; each vector goes to its head's ``members``."""
    size, head = Sizes(machine), shape.head_dim
    total = shape.n_heads + 2 * shape.n_kv_heads
    tiling = columns(machine, shape.dim, total * head)
    outputs = tiling.columns * machine.cim.outputs
    kv = divide(outputs * shape.n_kv_heads, total * machine.core.lanes) * machine.core.lanes
    q = outputs - 2 * kv
    vectors = divide(q, head) + 2 * divide(kv, head)
    code = [ins(Op.WAIT), *size.matrix(tiling, shape.dim), requantise(q, Type.I16),
            requantise(kv, Type.I16), requantise(kv, Type.I8, release=True),
            *(ins(Op.SFU, fn=Fn.ROPE, a_type=Type.I16, d_type=Type.I8, length=length,
                  m_mode=MMode.UNITY, shift=20) for length in (q, kv)),
            *[ins(Op.SEND, flits=size.flits(head, Type.I8))] * vectors, ins(Op.END)]
    rope = size.flits(head, Type.I16)
    if shape.positions != "rope":
        code = [i for i in code if i.op is not Op.SFU or i.fields["fn"] != Fn.ROPE]
        rope = 0
    return SubStage(
        "QKV", tiling.cores, (tuple(code),),
        (Inflow(senders, size.flits(divide(shape.dim, senders), Type.I8), True),
         *([Inflow(1, rope, True)] if rope else [])),
        receivers=vectors * members,
        slot_words=size.words(shape.dim, Type.I8) + size.words(head, Type.I16)
        + size.words(q + kv, Type.I16) + size.words(outputs, Type.I8))


def attention(machine: Machine, shape: ModelShape, *, members: int, kv_heads: int,
              context: int) -> tuple[SubStage, SubStage | None]:
    """Home and other members of the KV cores of ``kv_heads`` heads; scores up to normalisation.

    Both are costed as the member that the token's own block belongs to: it has most tokens, and
    writes K and V.
    """
    size, head = Sizes(machine), shape.head_dim
    queries = kv_heads * (shape.n_heads // shape.n_kv_heads)
    half = max(machine.core.macros // 2, 1)
    kv = {"k_macros": (1 << half) - 1, "v_macros": ((1 << half) - 1) << half,
          "k_groups": divide(head, machine.cim.active_rows),
          "head_dim": head, "heads": kv_heads, "members_log2": members.bit_length() - 1,
          "member": (context - 1) // machine.block_tokens % members}
    score = (ins(Op.SCORE), ins(Op.SFU, fn=Fn.MAC, a_array=1, d_type=Type.I32, tokens=1,
                                track=Track.MAX, release=1, m_mode=MMode.UNITY))
    context_code = (ins(Op.SFU, fn=Fn.EXP, a_type=Type.I32, tokens=1, m_mode=MMode.FIXED),
                    ins(Op.CONTEXT))
    keep = ins(Op.SFU, fn=Fn.MAC, a_array=1, d_type=Type.I32, length=head, release=1,
               m_mode=MMode.UNITY)
    normalise = (ins(Op.SFU, fn=Fn.RECIP),
                 ins(Op.SFU, fn=Fn.MAC, a_array=1, length=head, m_mode=MMode.SCALAR, release=1))
    append = (ins(Op.WAIT), ins(Op.FREE, need=1), *[ins(Op.APPEND)] * kv_heads)
    last = (ins(Op.SEND, flits=size.flits(queries * head, Type.I8)), ins(Op.END))
    inflow = Inflow((queries + 2 * kv_heads), size.flits(head, Type.I8), members > 1)
    tokens = divide(divide(context, machine.block_tokens), members) * machine.block_tokens
    words = ((queries + 2 * kv_heads) * size.words(head, Type.I8)
             + size.words(tokens, Type.I32) * (queries if members > 1 else 1)
             + size.words(tokens, Type.I8) + 2 * queries + 1)
    name, cores = "attention", shape.n_kv_heads // kv_heads
    if members == 1:
        code = [*append]
        for _ in range(queries):
            code += [*score, *context_code, *normalise]
        return SubStage(name, cores, ((*code, *last),), (inflow,), 1, words, kv), None

    maxima, partial = queries * size.scalar, queries * size.flits(head, Type.I32)
    part_words = queries * size.words(head, Type.I32)
    lanes = machine.core.lanes
    everywhere = (ins(Op.WAIT, operand=1), *((*context_code, keep) * queries))
    member = SubStage(
        f"{name}, member", cores * (members - 1),
        ((*append, *score * queries, ins(Op.SEND, flits=maxima)),
         (*everywhere, ins(Op.SEND, flits=partial), ins(Op.SEND, flits=maxima), ins(Op.END))),
        (inflow, Inflow(1, maxima, True)), 1, words + part_words, kv)
    combine = [ins(Op.SFU, fn=Fn.MAX, length=queries * lanes, m_mode=MMode.UNITY)] * (members - 1)
    adds = [add(queries * head), add(queries * lanes)] * (members - 1)
    from_buffer = (ins(Op.SFU, fn=Fn.RECIP), scale(head))
    home = SubStage(
        f"{name}, home", cores,
        ((*append, *score * queries), (ins(Op.WAIT, operand=1), *combine,
                                       ins(Op.SEND, flits=maxima)),
         (*((*context_code, keep) * queries),),
         (ins(Op.WAIT, operand=2), *adds, *from_buffer * queries, *last)),
        (inflow, Inflow(members - 1, maxima), Inflow(members - 1, partial),
         Inflow(members - 1, maxima)), members,
        words + members * part_words + 2 * members * queries, kv)
    return home, member


def attention_parts(stage: SubStage) -> dict[str, tuple[Instruction, ...]]:
    """Score, softmax and context instructions of a KV core's program."""
    found: dict[str, list[Instruction]] = {"score": [], "softmax": [], "context": []}
    for i in (i for part in stage.parts for i in part):
        f = i.fields
        if i.op is Op.SCORE or (i.op is Op.SFU and f["tokens"] and f["fn"] == Fn.MAC):
            found["score"].append(i)
        elif i.op is Op.CONTEXT or (i.op is Op.SFU and f["a_array"] and f["fn"] == Fn.MAC):
            found["context"].append(i)
        elif i.op is Op.SFU:
            found["softmax"].append(i)
    return {name: tuple(code) for name, code in found.items()}


def _hand_over(size: Sizes, channels: int, receivers: int) -> tuple[Instruction, ...]:
    """Residual slice to its successors: x, then nothing more."""
    return (*[ins(Op.SEND, flits=size.flits(divide(channels, receivers), Type.I16))] * receivers,
            ins(Op.END))


def projection(machine: Machine, shape: ModelShape, *, kv_cores: int, before: int, after: int,
               consumers: int) -> SubStage:
    """Attention output, residual and the local part of the second norm, for a slice of channels.

    ``before`` and ``after`` are the residual slices of the stages around it.
    """
    size = Sizes(machine)
    tiling = columns(machine, shape.q_width, shape.dim)
    channels = min(tiling.columns * machine.cim.outputs, shape.dim)
    own_before = divide(before, tiling.cores)
    own_after = divide(after, tiling.cores)
    parts = (
        (ins(Op.WAIT), ins(Op.WAIT, operand=1), *size.matrix(tiling, shape.q_width),
         requantise(channels, Type.I16, b_mode=BMode.RESIDUAL16, track=Track.SUMSQ, release=True),
         ins(Op.SEND, flits=size.scalar)),
        (ins(Op.WAIT, operand=2), scale(channels),
         ins(Op.SEND, flits=size.flits(channels, Type.I8))),
        _hand_over(size, channels, own_after))
    return SubStage(
        "projection", tiling.cores, parts,
        (Inflow(own_before, size.flits(divide(channels, own_before), Type.I16)),
         Inflow(kv_cores, size.flits(divide(shape.q_width, kv_cores), Type.I8), True),
         Inflow(1, size.scalar, True)),
        receivers=consumers + own_after + 1,
        slot_words=size.words(channels, Type.I16) + size.words(shape.q_width, Type.I8)
        + size.words(channels, Type.I8) + 3)


def norm_root(machine: Machine, name: str, slices: int) -> SubStage:
    """Adds the slices' sums of squares, looks up (Y, shift) and returns it."""
    size = Sizes(machine)
    code = (ins(Op.WAIT), *[add(machine.core.lanes)] * (slices - 1),
            ins(Op.SFU, fn=Fn.RSQRT), ins(Op.SEND, flits=size.scalar), ins(Op.END))
    return SubStage(name, 1, (code,), (Inflow(slices, size.scalar),), slices, slices + 1)


def up_gate(machine: Machine, shape: ModelShape, *, senders: int, row_slices: int) -> SubStage:
    """Gate, up and SiLU of some hidden channels; without a gate, up and an activation table."""
    size, matrices = Sizes(machine), 2 if shape.gated else 1
    tiling = columns(machine, shape.dim, matrices * shape.hidden_dim)
    half = tiling.columns * machine.cim.outputs // matrices
    flows = 1 if shape.hidden_dim // row_slices % half == 0 else min(2, row_slices)
    code = (ins(Op.WAIT), *size.matrix(tiling, shape.dim),
            *[requantise(half, Type.I8)] * (matrices - 1), requantise(half, Type.I8, release=True),
            ins(Op.SFU, fn=Fn.SILU, a_type=Type.I8, length=half, m_mode=MMode.FIXED),
            *[ins(Op.SEND, flits=size.flits(divide(half, flows), Type.I8))] * flows, ins(Op.END))
    return SubStage(
        "up/gate", tiling.cores, (code,),
        (Inflow(senders, size.flits(divide(shape.dim, senders), Type.I8), True),),
        receivers=flows,
        slot_words=size.words(shape.dim, Type.I8) + (matrices + 1) * size.words(half, Type.I8))


def reduced(machine: Machine, name: str, inputs: int, outputs: int, *, rows: int, before: int,
            senders: int, consumers: int) -> tuple[SubStage, Tiling]:
    """An input-tiled matrix that ends in the residual, ``rows`` row tiles of it in a core.

    Cores of a column slice add their partial sums; each is home to its share of the channels, for
    which it keeps the residual and the next norm's local part. ``senders`` make the inputs,
    ``before`` are the residual slices before, ``consumers`` take the normalised slices.
    """
    size, cim = Sizes(machine), machine.cim
    column_tiles = divide(outputs, cim.outputs)
    each = min(machine.core.macros // rows, column_tiles)
    tiling = Tiling(rows, each, divide(divide(inputs, cim.rows), rows), divide(column_tiles, each))
    others = tiling.row_slices - 1
    sums = min(each * cim.outputs, outputs)
    channels = divide(sums, tiling.row_slices)
    taken = min(rows * cim.rows, inputs)
    senders = divide(senders, tiling.row_slices) + (tiling.row_slices > 1)
    own_before = max(1, divide(before, tiling.cores))
    first = [ins(Op.WAIT, operand=1), *size.matrix(tiling, taken)]
    if others:
        first += [ins(Op.SFU, fn=Fn.MAC, a_array=1, d_type=Type.I32, length=sums, release=1,
                      m_mode=MMode.UNITY),
                  *[ins(Op.SEND, flits=size.flits(channels, Type.I32))] * others]
        second = [ins(Op.WAIT, operand=3), ins(Op.WAIT), *[add(channels)] * others,
                  ins(Op.SFU, fn=Fn.MAC, a_type=Type.I32, b_mode=BMode.RESIDUAL16,
                      d_type=Type.I16, length=channels, m_mode=MMode.PARAM, track=Track.SUMSQ)]
    else:
        second = [ins(Op.WAIT),
                  requantise(channels, Type.I16, b_mode=BMode.RESIDUAL16, track=Track.SUMSQ,
                             release=True)]
    parts = (
        tuple(first), (*second, ins(Op.SEND, flits=size.scalar)),
        (ins(Op.WAIT, operand=2), scale(channels),
         ins(Op.SEND, flits=size.flits(channels, Type.I8))),
        _hand_over(size, channels, 1))
    stage = SubStage(
        name, tiling.cores, parts,
        (Inflow(own_before, size.flits(divide(channels, own_before), Type.I16)),
         Inflow(senders, size.flits(divide(taken, senders), Type.I8), tiling.column_slices > 1),
         Inflow(others, size.flits(channels, Type.I32)), Inflow(1, size.scalar, True)),
        receivers=others + 2 + consumers,
        slot_words=size.words(channels, Type.I16) + size.words(taken, Type.I8)
        + (size.words(sums, Type.I32) + others * size.words(channels, Type.I32) if others else 0)
        + size.words(channels, Type.I8) + 3)
    return stage, tiling


def lm_head(machine: Machine, shape: ModelShape, *, senders: int) -> Sequence[SubStage]:
    """Logits and argmax of some token ids, and the core that picks the best of all."""
    size = Sizes(machine)
    tiling = columns(machine, shape.dim, shape.vocab_size)
    outputs = tiling.columns * machine.cim.outputs
    code = (ins(Op.WAIT), *size.matrix(tiling, shape.dim),
            requantise(outputs, Type.I32, track=Track.ARGMAX, release=True),
            ins(Op.SEND, flits=size.scalar), ins(Op.END))
    head = SubStage(
        "LM head", tiling.cores, (code,),
        (Inflow(senders, size.flits(divide(shape.dim, senders), Type.I8), True),), 1,
        size.words(shape.dim, Type.I8) + size.words(outputs, Type.I32) + 2)
    pick = [ins(Op.SFU, fn=Fn.PICK, length=machine.core.lanes, m_mode=MMode.UNITY)]
    root = SubStage(
        "LM head, argmax", 1,
        ((ins(Op.WAIT), *pick * (tiling.cores - 1), ins(Op.SEND, flits=1), ins(Op.END)),),
        (Inflow(tiling.cores, size.scalar),), 0, tiling.cores + 1)
    return head, root
