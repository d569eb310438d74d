"""Programs of scheme R2: same logits as the decoder, in every layout; and what is refused."""

import random
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Type, assemble, disassemble
from ouroboros.hw.params.machine import MeshParams, load_machine
from ouroboros.hw.params.packet import Unit
from ouroboros.sw.block.graph import build_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.plans import plan_layout
from ouroboros.sw.block.tiling import tiled
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.golden.sfu import SfuError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models.scheme import R2
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.program.program import Write


def with_24_bits(machine, **core):
    return replace(machine, core=replace(machine.core, residual_bits=24, **core))


NARROW = load_machine("tiny")
TINY = with_24_bits(NARROW)
WIDE = with_24_bits(replace(NARROW, mesh=MeshParams(width=9, height=6, die_width=9, die_height=6)),
                    macros=16, buffer_words=512)
TALL = replace(TINY, cim=replace(TINY.cim, rows=128))
LONG_WORDS = replace(with_24_bits(NARROW, lanes=8), cim=replace(NARROW.cim, outputs=32, rows=256))
BASE = {"qkv": 2, "kv_groups": 2, "members": 2, "proj": (1, 3), "up": 3, "down": (1, 2), "lm": 2,
        "embed": 2}
TILED = {"dim": 96, "hidden_dim": 88, "n_heads": 6, "n_kv_heads": 2}


def wrong(requests, model):
    """(Request, position) of all logits that are not the decoder's."""
    decoder, found = IntegerDecoder(model), []
    for n, request in enumerate(requests):
        logits = decoder.prefill(n, [*request.prompt, *request.tokens[:-1]])
        assert sorted(request.vectors) == [*range(len(logits))]
        found += [(n, position) for position, vector in request.vectors.items()
                  if not np.array_equal(vector, logits[position])]
    return found


def check(program, model, serve, lengths, *, seed=None):
    """Logits of every position of every sequence are those of the decoder, bit for bit."""
    rng = random.Random(len(lengths))
    prompts = [[rng.randrange(program.vocab_size) for _ in range(n)] for n in lengths]
    requests, golden = serve(program, model, prompts, limit=2, seed=seed)
    assert not wrong(requests, model)
    golden.settle()
    assert not any(core.slots for core in golden.cores.values())


# Blocks hold 16 tokens: 34 positions cross two borders, and come back to the first of two members.
CASES = {
    "base": (TINY, {}),
    "hidden odd": (TINY, {"hidden_dim": 43}),
    "one query head per KV head": (TALL, {"n_kv_heads": 4, "n_heads": 4}),
    "large activations": (TINY, {"tied": False, "gain": 3.0}),
    "two layers": (replace(TINY, mesh=MeshParams(width=6, height=3, die_width=6, die_height=3)),
                   {"n_layers": 2}),
    "many passes": (replace(with_24_bits(NARROW, macros=2, buffer_words=512),
                            cim=replace(NARROW.cim, rows=256)), {"dim": 64}),
    "long words": (LONG_WORDS, {"dim": 64}),
    "long flits": (replace(LONG_WORDS, noc=replace(NARROW.noc, flit_bits=256)), {"dim": 64}),
}


@pytest.mark.parametrize("placement", ["plain", "split"])
@pytest.mark.parametrize("name", CASES)
def test_logits(make_model, serve, placement, name):
    machine, changes = CASES[name]
    model = make_model(scheme="R2", **changes)
    check(map_model(machine, model, placement=placement, context=40), model, serve,
          [34, 5] if name == "base" else [18, 3], seed=None if name == "base" else 2)


@pytest.mark.parametrize("placement", ["plain", "split"])
def test_logits_in_any_order(make_model, serve, placement):
    """Six sequences on four ids; the ids are used again, so tokens that free theirs come by."""
    model = make_model(scheme="R2")
    check(map_model(TINY, model, placement=placement), model, serve, [9, 18, 3, 1, 6, 12], seed=1)


TILINGS = {
    "columns": {},
    "three members": {"members": 3},
    "rows": {"proj": (2, 2), "down": (2, 2)},
    "parted heads": {"qkv": 4, "members": 1},
    "one core each": {"qkv": 1, "members": 1, "proj": (1, 1), "up": 1, "down": (1, 1), "lm": 1,
                      "embed": 1},
}


@pytest.mark.long
@pytest.mark.parametrize("name", TILINGS)
def test_logits_of_tilings(make_model, serve, name):
    model = make_model(scheme="R2", **TILED)
    machine = replace(WIDE, cim=replace(WIDE.cim, rows=256)) if name == "one core each" else WIDE
    program = map_model(machine, model, placement=tiled(WIDE, model.shape,
                                                        **{**BASE, **TILINGS[name]}))
    check(program, model, serve, [34, 2], seed=3)


@pytest.mark.long
def test_tiled_by_itself(make_model, serve):
    model = make_model(scheme="R2", **TILED)
    program = map_model(WIDE, model, placement="tiled")
    assert program.kv_members > 2
    check(program, model, serve, [18, 2], seed=3)


def test_programs_of_r_are_the_same_with_24_bits(make_model):
    model = make_model()
    assert map_model(TINY, model).images == map_model(NARROW, model).images


# What is changed: instructions that a predicate on (op, fields) finds, and their fields.
DRIFTS = {
    "less left out": (lambda op, f: f.get("less"), {"less": 0}),
    "shift of down": (lambda op, f: f.get("less"), {"shift": 1}),
    "shift of the gate": (lambda op, f: f.get("fn") == Fn.GATE, {"shift": 1}),
    "sign of the magnitude": (lambda op, f: f.get("magnitude"), {"magnitude": 0}),
    "bits of the exponent": (lambda op, f: f.get("fn") == Fn.EXPONENT, {"shift": 1}),
    "shift of the exponentials": (lambda op, f: f.get("fn") == Fn.EXP, {"shift": 1}),
    "exponentials of 7 bits": (lambda op, f: f.get("fn") == Fn.EXP, {"digits": 0}),
    "weight of the high digit": (
        lambda op, f: op is Op.SFU and f["a_array"] and f["m_mode"] == MMode.FIXED,
        {"m_mode": MMode.UNITY}),
    "residual left out": (lambda op, f: f.get("b_mode") == BMode.RESIDUAL32,
                          {"b_mode": BMode.NONE}),
    "rows of 32 bits": (lambda op, f: f.get("a_type") == Type.I16 and f["d_type"] == Type.I24,
                        {"a_type": Type.I24}),
    "squares of 16 bits": (lambda op, f: f.get("track") == 1, {"d_type": Type.I16}),
}


def drifted(program, finds, changes):
    """The program with other fields in what ``finds`` finds; shifts are added to."""
    images, count = dict(program.images), 0
    for core, image in images.items():
        writes = []
        for write in image.writes:
            words = [*write.values]
            for n, word in enumerate(words if write.unit == Unit.PROGRAM else []):
                op, fields = disassemble(word)
                if finds(op, fields):
                    count += 1
                    fields |= {k: fields[k] + v if k == "shift" else v for k, v in changes.items()}
                    words[n] = assemble(op, **{k: v for k, v in fields.items() if k != "op"})
            writes.append(Write(write.unit, write.address, tuple(words)))
        images[core] = replace(image, writes=writes)
    assert count
    return replace(program, images=images)


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_is_seen(make_model, serve, name):
    model = make_model(scheme="R2")
    program = map_model(TINY, model)
    prompts = [[5, 9, 20, 33, 41, 7, 12, 58, 3, 30]]
    if name == next(iter(DRIFTS)):
        assert not wrong(serve(program, model, prompts)[0], model)
    try:
        requests, _ = serve(drifted(program, *DRIFTS[name]), model, prompts)
    except SfuError:
        return
    assert wrong(requests, model)


SHAPE = ModelShape(name="x", source="here", dim=32, hidden_dim=44, n_layers=1, n_heads=4,
                   n_kv_heads=2, vocab_size=59)


@pytest.mark.parametrize(("machine", "shape", "scheme", "context", "message"), [
    (NARROW, {}, {}, 40,
     "core.residual_bits of machine 'tiny' must be 24 for a model of scheme R2, not 16"),
    (TINY, {}, {"exp_bits": 11}, 40,
     ("exp_bits of the model's scheme R2 exp_bits=11 must be 12, what cores compute beside "
      "scheme R, not 11: quantise for at most 4,129 positions")),
    (TINY, {}, {"f_bits": 10}, 40,
     ("f_bits of the model's scheme R2 f_bits=10 must be 11 or 12, what cores compute beside "
      "scheme R, not 10: hidden_dim must be at most 16,529")),
    (TINY, {}, {"residual_bits": 16}, 40,
     ("residual_bits of the model's scheme R2 residual_bits=16 must be 24, what cores "
      "compute beside scheme R, not 16: quantise to scheme R or R2")),
    (TINY, {"gated": False}, {}, 40,
     ("gated must be true for a model of scheme R2, not false: its feed-forward layer is a "
      "gate's")),
    (replace(TINY, kv=replace(TINY.kv, blocks=256)), {}, {}, 4130,
     ("context must be less than 4130 for exp_bits = 12 of scheme R2: an int32 sum could wrap")),
    (TINY, {"hidden_dim": 8261}, {}, 40,
     "hidden_dim must be less than 8261 for f_bits = 12 of scheme R2: an int32 sum could wrap"),
    (with_24_bits(NARROW, buffer_words=32), {}, {}, 40,
     ("core (4, 2): buffer words for one slot of l0.kv.0.0 must be at most 32 on machine 'tiny', "
      "not 43: too many by 11")),
])
def test_refused(machine, shape, scheme, context, message):
    shape, scheme = replace(SHAPE, **shape), replace(R2, **scheme)
    plan = layout(machine, shape, plan_layout(NARROW, SHAPE, "split", 12))
    with pytest.raises(BlockError) as error:
        build_graph(machine, shape, plan, context=context, scheme=scheme)
    assert str(error.value) == message


def test_the_longest_context_is_taken():
    machine = replace(TINY, kv=replace(TINY.kv, blocks=256), core=replace(
        TINY.core, buffer_words=4096))
    plan = layout(machine, SHAPE, plan_layout(NARROW, SHAPE, "split", 12))
    assert build_graph(machine, SHAPE, plan, context=4129, scheme=R2).context == 4129
