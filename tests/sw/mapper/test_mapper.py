import random
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.isa import Op, disassemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import STAGE_ENTRY, Flag, Unit
from ouroboros.sw.block.tiling import plain
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.mapper.mapper import map_model

TINY = load_machine("tiny")
PLACEMENTS = ("plain", "split")


def machine(**changes):
    """The tiny machine with other sizes; keys are part__field."""
    made = TINY
    for axis in ("width", "height"):
        if f"mesh__{axis}" in changes:
            size = changes.pop(f"mesh__{axis}")
            made = replace(made, mesh=replace(made.mesh, **{axis: size, f"die_{axis}": size}))
    for name, value in changes.items():
        part, field = name.split("__")
        made = replace(made, **{part: replace(getattr(made, part), **{field: value})})
    return made


def prompts(seed, lengths, vocab):
    rng = random.Random(seed)
    return [[rng.randrange(vocab) for _ in range(length)] for length in lengths]


def check(program, model, serve, lengths, *, seed=None, limit=2):
    """Logits of every position of every sequence are those of the decoder, bit for bit."""
    requests, golden = serve(program, model, prompts(len(lengths), lengths, program.vocab_size),
                             limit=limit, seed=seed)
    decoder = IntegerDecoder(model)
    for n, request in enumerate(requests):
        text = [*request.prompt, *request.tokens][:max(len(request.prompt),
                                                       len(request.prompt) + limit - 1)]
        logits = decoder.prefill(n, text)
        assert sorted(request.vectors) == [*range(len(text))]
        for position, vector in request.vectors.items():
            assert np.array_equal(vector, logits[position]), f"{n}, position {position}"
        for k, token in enumerate(request.tokens):
            assert token == logits[len(request.prompt) - 1 + k].argmax()
    golden.settle()
    for core in golden.cores.values():
        assert not core.slots and (
            core.array.kv is None or core.array.kv.used == 0)


# Blocks hold 16 tokens: 34 positions cross two borders, and come back to the first of two members.
CASES = {
    "base": {},
    "hidden fills words": {"hidden_dim": 64},
    "hidden odd": {"hidden_dim": 43},
    "vocabulary of three cores": {"vocab_size": 131},
    "head of one dimension per lane": {"n_heads": 8, "n_kv_heads": 2},
    "one query head per KV head": {"n_heads": 4, "n_kv_heads": 4},
    "widest heads": {"n_heads": 2, "n_kv_heads": 2},
    "untied, large activations": {"tied": False, "gain": 3.0},
}


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("name", CASES)
def test_logits(make_model, serve, placement, name):
    model = make_model(**CASES[name])
    # Heads are padded to words: many heads take many columns.
    sized = machine(cim__rows=128) if model.shape.n_heads + model.shape.n_kv_heads > 6 else TINY
    program = map_model(sized, model, placement=placement)
    check(program, model, serve, [34, 5] if name == "base" else [18, 2])


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("seed", range(3))
def test_logits_in_any_order(make_model, serve, placement, seed):
    """Six sequences on four ids, packets and tokens in every order that hardware may take.

    Tokens that compute nothing overtake others everywhere; each must find its slot all the same.
    """
    model = make_model()
    check(map_model(TINY, model, placement=placement), model, serve, [9, 18, 3, 1, 6, 12],
          seed=seed, limit=2)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_two_layers(make_model, serve, placement):
    large = machine(mesh__width=6)
    model = make_model(n_layers=2)
    check(map_model(large, model, placement=placement), model, serve, [18, 3], seed=1)


WIDE = {"core__lanes": 8, "cim__outputs": 32, "cim__rows": 256}
SIZES = {
    "two flits a word": WIDE,
    "wide flits": {**WIDE, "noc__flit_bits": 256},
    "many passes": {"core__macros": 2, "cim__rows": 256, "core__buffer_words": 512},
    "long vectors": {"core__macros": 16, "cim__rows": 256, "core__buffer_words": 1024},
    "scarce row groups": {"cim__active_rows": 16},
    "one active row": {"cim__active_rows": 1},
    "many macros": {"core__macros": 16},
    "one slot each": {"core__slots": 3},
    "one credit bit to spare": {"core__credit_bits": 3},
}


SHAPES = {
    "two flits a word": {"dim": 64}, "wide flits": {"dim": 64}, "many passes": {"dim": 64},
    "long vectors": {"dim": 160, "n_heads": 10},     # packets of more than eight flits
}


@pytest.mark.parametrize(("placement", "name"), [
    *((placement, name) for placement in PLACEMENTS for name in SIZES), ("plain", "small buffer")])
def test_logits_on_other_machines(make_model, serve, placement, name):
    """Matrices in several passes or row tiles, words of several flits, hardly any slots."""
    changes = SIZES.get(name, {"core__buffer_words": 64})
    sized = machine(**changes)
    model = make_model(**SHAPES.get(name, {}))
    program = map_model(sized, model, placement=placement, context=40)
    if name == "one slot each":
        assert min(stage.slots for stage in program.stages) == 1
    check(program, model, serve, [34 if "flits" in name else 18, 3], seed=2)


def test_head_in_passes(make_model, serve):
    """The best of a pass is compared with the best of those before it."""
    model = make_model(vocab_size=120)
    usual = plain(TINY, model.shape, 12)
    program = map_model(TINY, model, placement=replace(usual, lm=replace(
        usual.lm, column_slices=1)))
    assert len(program.logit_slices) == 1
    check(program, model, serve, [9, 2], limit=6)


def test_head_with_more_inputs_than_rows(make_model, serve):
    """Two macros for every column: twice the cores."""
    sized = machine(core__macros=32, core__buffer_words=512, core__param_words=256)
    model = make_model(dim=128, n_heads=8, vocab_size=300)
    program = map_model(sized, model)
    assert [count for _, _, count in program.logit_slices] == [160, 140]
    check(program, model, serve, [3], limit=1)


def test_tokens_without_logits_skip_the_head(make_model):
    program = map_model(TINY, make_model(vocab_size=131), placement="split")
    for core, _, _ in program.logit_slices:
        writes = {write.unit: write for write in program.images[core].writes
                  if write.unit != Unit.STAGE}
        stages = {write.address: STAGE_ENTRY.unpack(write.values[0])
                  for write in program.images[core].writes if write.unit == Unit.STAGE}
        code = [disassemble(word) for word in writes[Unit.PROGRAM].values]
        code = code[stages[0]["program"]:]
        for op, fields in code[:[op for op, _ in code].index(Op.END)]:
            if op in (Op.LOAD, Op.MVM, Op.SFU):
                assert fields["skip"] == Flag.FREE | Flag.POISON | Flag.QUIET


def test_heads_that_share_a_core(make_model, serve):
    """A mesh without a core for each KV head: both in one, with half the blocks each."""
    small = machine(mesh__width=3, mesh__height=2)
    model = make_model()
    program = map_model(small, model)
    assert len([s for s in program.stages if s.kind == "kv"]) == 1
    check(program, model, serve, [34, 5], seed=3)
    assert (program.kv_blocks, program.kv_sequence_blocks) == (8, 8)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_stage_has_one_owner(make_model, placement):
    """Whoever reserves a stage's slots is credited by it; its counter starts at their number."""
    program = map_model(TINY, make_model(), placement=placement)
    owners = {}
    for core, image in program.images.items():
        writes = {write.unit: write for write in image.writes}
        entries = {write.address: STAGE_ENTRY.unpack(write.values[0]) for write in image.writes
                   if write.unit == Unit.STAGE}
        for index, entry in entries.items():
            assert entry["credit_count"] == 1
            credit = writes[Unit.CREDIT_LIST].values[entry["credit_first"]]
            assert credit not in owners, "two stages credit one counter"
            owners[credit] = core, index
            slots = next(s.slots for s in program.stages
                         if (s.core, s.index) == (core, index))
            assert entry["slot_count"] == slots
            x, y, counter = credit & 127, credit >> 7 & 127, credit >> 14
            if (x, y) == TINY.host:
                assert program.embed[counter].slots == slots
            else:
                sender = {w.unit: w for w in program.images[x, y].writes}
                assert sender[Unit.CREDIT].values[counter] == slots


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_slots_of_joins(make_model, placement):
    """The residual waits where tokens come back to it: for all that are in QKV and attention, or
    in up/gate, there is a slot, or as many as are left of the eight that two stages share."""
    wide = machine(core__slots=16, core__buffer_words=4096)
    slots = {}
    for stage in map_model(wide, make_model(), placement=placement).stages:
        assert slots.setdefault(stage.kind, stage.slots) == stage.slots
    assert slots["down"] > slots["up"]
    if placement == "plain":
        assert slots["proj"] >= slots["qkv"] + slots["kv"]
    else:
        assert slots["proj"] > slots["qkv"]
        for one, other in (("qkv", "proj"), ("up", "down"), ("lm", "embed")):
            assert slots[one] + slots[other] == 8


def test_programs_end_and_credits_are_taken_once(make_model):
    """No instruction after END belongs to a stage; every stage takes credits in one SEND at most
    for each group of receivers."""
    program = map_model(TINY, make_model(), placement="split")
    for image in program.images.values():
        for write in image.writes:
            if write.unit == Unit.PROGRAM:
                ops = [disassemble(word) for word in write.values]
                assert ops[-1][0] == Op.END
                assert all(fields["skip"] == 0 for op, fields in ops if op in (Op.WAIT, Op.END))


@pytest.mark.parametrize(("changes", "shape", "context"), [
    ({}, {}, 64),                                       # the model's, and the page table's
    ({}, {"seq_len": 50}, 50),
    ({"kv__blocks": 2}, {}, 32),
    ({"kv__blocks": 32}, {"seq_len": 512}, 128),    # K: two macros of 8 blocks for two heads
    ({"kv__blocks": 32, "kv__pages": 10}, {"seq_len": 512}, 80),    # five for each head
    ({"kv__blocks": 256, "kv__pages": 64, "core__macros": 16, "core__buffer_words": 1024},
     {"seq_len": 999}, 256)])
def test_default_context(make_model, changes, shape, context):
    """The least of model, page table and KV macros, and never more than 256."""
    small = machine(mesh__width=3, mesh__height=2, **changes)
    assert map_model(small, make_model(**shape)).context == context


def test_more_context_than_kv(make_model):
    small = machine(kv__blocks=32)
    program = map_model(small, make_model(seq_len=512), context=130)
    assert program.context == 130 and program.kv_sequence_blocks * 16 < 130


def test_equal_inputs_give_equal_programs(make_model):
    first, second = (map_model(TINY, make_model(), placement="split") for _ in range(2))
    assert first == second
