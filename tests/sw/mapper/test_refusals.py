"""Models that do not fit: one sentence each, with the limit and by how much."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.stage import StageDraft
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.core import CoreBuilder
from ouroboros.sw.mapper.labels import LabelAllocator
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.program import StageInfo
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES

TINY = load_machine("tiny")
SMALL = {"mesh__width": 3, "mesh__height": 2}


def machine(**changes):
    made = TINY
    for axis in ("width", "height"):
        if f"mesh__{axis}" in changes:
            size = changes.pop(f"mesh__{axis}")
            made = replace(made, mesh=replace(made.mesh, **{axis: size, f"die_{axis}": size}))
    for name, value in changes.items():
        part, field = name.split("__")
        made = replace(made, **{part: replace(getattr(made, part), **{field: value})})
    return made


def on(what):
    return f"must be at most {what} on machine 'tiny'"


@pytest.mark.parametrize(("shape", "placement", "message"), [
    ({}, "round", "placement must be one of ('plain', 'split', 'tiled'), not 'round'"),
    ({"n_layers": 3}, "plain",
     "machine 'tiny' has 12 cores; placement 'plain' of 3 layers takes 16: 4 too few"),
    ({"n_layers": 2}, "split",
     "machine 'tiny' has 12 cores; placement 'split' of 2 layers takes 18: 6 too few"),
    ({"n_kv_heads": 1}, "split", "n_kv_heads must be even for placement 'split', not 1"),
    ({"dim": 48, "n_heads": 6}, "split",
     "dim must be a multiple of 32 for placement 'split' on machine 'tiny', not 48"),
    ({"dim": 24, "n_heads": 3, "n_kv_heads": 1}, "plain",
     "dim must be a multiple of 16 for placement 'plain' on machine 'tiny', not 24"),
    ({"hidden_dim": 16}, "split",
     "hidden_dim must be more than 16 to be shared by 2 cores on machine 'tiny', not 16"),
    ({"vocab_size": 16}, "split",
     "vocab_size must be more than 16 to be shared by 2 cores on machine 'tiny', not 16"),
    ({"dim": 48}, "plain",
     "head_dim must divide the 16 outputs of a macro on machine 'tiny', not 12"),
    ({"dim": 64, "n_heads": 2}, "plain",
     "head_dim must divide the 16 outputs of a macro on machine 'tiny', not 32"),
    ({"n_heads": 16}, "plain",
     "head_dim must be a multiple of the 4 lanes on machine 'tiny', not 2"),
    ({"hidden_dim": 600}, "plain",
     f"core (3, 2): row groups of a macro {on(8)}, not 76: too many by 68")])
def test_models(map_to, shape, placement, message):
    with pytest.raises(BlockError) as error:
        map_to(TINY, placement, **shape)
    assert str(error.value) == message


@pytest.mark.parametrize(("changes", "placement", "message"), [
    ({"core__lanes": 8}, "plain",
     "cim.outputs must be a multiple of the 32 bytes of a buffer word, not 16"),
    ({"cim__rows": 8}, "plain",
     "cim.rows must be a multiple of the 16 bytes of a buffer word, not 8"),
    ({"cim__outputs": 64, "cim__rows": 32}, "plain",
     "cim.rows must be at least cim.outputs (64) to hold KV blocks, not 32"),
    ({"core__macros": 1}, "plain",
     "core (3, 2): macros for KV must be at least 2, not 1: too few by 1"),
    ({"kv__heads": 1, **SMALL}, "plain",
     f"core (3, 1): KV heads {on(1)}, not 2: too many by 1"),
    ({"cim__rows": 32}, "plain",
     f"core (2, 1): row groups of a macro {on(4)}, not 8: too many by 4"),
    ({"core__step_words": 2}, "plain", f"core (2, 1): drain steps {on(2)}, not 4: too many by 2"),
    ({"core__param_words": 16}, "plain",
     f"core (2, 1): parameter words {on(16)}, not 24: too many by 8"),
    ({"core__program_words": 16}, "split",
     f"core (4, 2): program words {on(16)}, not 24: too many by 8"),
    ({"core__dests": 2}, "plain", f"core (1, 1): destinations {on(2)}, not 3: too many by 1"),
    ({"core__credits": 1}, "plain",
     f"core (1, 1): credit counters {on(1)}, not 2: too many by 1"),
    ({"core__stages": 1}, "plain", f"core (1, 1): stages {on(1)}, not 2: too many by 1"),
    ({"core__credit_list_words": 1}, "plain",
     f"core (1, 1): credit list entries {on(1)}, not 2: too many by 1"),
    ({"core__buffer_words": 16}, "plain",
     f"core (1, 1): buffer words for one slot of embed and lm {on(16)}, not 29: too many by 13"),
    ({"noc__labels": 2}, "split",
     "multicast from core (2, 1): labels must be at most 1 per router, and all are taken")])
def test_machines(map_to, changes, placement, message):
    with pytest.raises(OuroborosError) as error:
        map_to(machine(**changes), placement)
    assert str(error.value) == message


def test_inputs_that_need_more_macros(map_to):
    with pytest.raises(BlockError) as error:
        map_to(machine(cim__rows=16, core__macros=2), dim=48, n_heads=6)
    assert str(error.value) == ("core (4, 2): macros for a matrix of 48 inputs must be at least 3, "
                                "not 2: too few by 1")


@pytest.mark.parametrize(("placement", "seq_len", "context", "message"), [
    ("plain", 50, 51, "context must be at most 50 (the model's seq_len), not 51: too many by 1"),
    ("plain", 512, 65, "context must be at most 64 (the page table), not 65: too many by 1"),
    ("split", 512, 150, "context must be at most 128 (the page table), not 150: too many by 22"),
    ("plain", 64, 0, "context must be at least 1, not 0")])
def test_contexts(map_to, placement, seq_len, context, message):
    with pytest.raises(BlockError) as error:
        map_to(TINY, placement, context, seq_len=seq_len)
    assert str(error.value) == message


def test_a_credit_counter_that_does_not_fit():
    most = (1 << TINY.core.credit_bits) - 1
    builder = CoreBuilder(TINY, (1, 1))
    assert builder.credit_counter(most) == 0
    with pytest.raises(BlockError) as error:
        builder.credit_counter(most + 1)
    assert str(error.value) == (f"slots of a stage must fit {TINY.core.credit_bits} credit bits, "
                                f"not {most + 1}")


def test_fields_that_do_not_fit_an_instruction():
    """Sizes beyond the instruction set are refused as such, not wrapped."""
    def draft():
        made = StageDraft(TINY, StageInfo("l0.up", "up", 0, (1, 2), 0, 2))
        made.owners.append(((1, 1), 0))
        return made

    stage = draft()
    stage.report((0, 1), operand=0, src=0, flits=1024, dst=0)
    with pytest.raises(BlockError) as error:
        stage.finish()
    assert str(error.value) == ("core (1, 2): SEND of stage l0.up: flits must fit 10 bits, "
                                "not 1024")
    stage = draft()
    stage.packets[2] = 256
    stage.wait(2)
    with pytest.raises(BlockError) as error:
        stage.finish()
    assert str(error.value) == ("core (1, 2): WAIT of stage l0.up: packets must fit 8 bits, "
                                "not 256")


def test_a_stage_number_is_used_once():
    builder = CoreBuilder(TINY, (1, 2))
    builder.stage(0, name="first", slots=1, words=1, code=[0], owners=[])
    with pytest.raises(BlockError) as error:
        builder.stage(0, name="second", slots=1, words=1, code=[0], owners=[])
    assert str(error.value) == "core (1, 2): stage 0 must be used once, not by second"


def test_a_multicast_has_one_address():
    """All receivers write to the same place of their slots; anything else is a mistake here."""
    stages = [StageDraft(TINY, StageInfo(f"s{n}", "up", 0, (n, 1), 0, 1)) for n in (1, 2, 3)]
    for n, stage in enumerate(stages):
        stage.area("a", 16, Type.I8)
        if n == 2:
            stage.area("extra", 16, Type.I8)
        stage.area("b", 16, Type.I8)
    stages[0].send(stages[1:], operand=0, src=0, flits=1, area="a")
    with pytest.raises(AssertionError, match="b must have one place in all targets"):
        stages[0].send(stages[1:], operand=0, src=0, flits=1, area="b")
    with pytest.raises(AssertionError, match="element 3 of a does not begin a flit"):
        stages[0].send(stages[1:2], operand=0, src=0, flits=1, area="a", element=3)


# Labels


def test_labels_are_shared_by_trees_that_do_not_meet():
    labels = LabelAllocator(TINY)
    first = labels.label((1, 1), [(2, 1), (3, 1)])
    assert labels.label((1, 1), [(3, 1), (2, 1)]) == first           # the same group
    assert labels.label((1, 3), [(2, 3), (3, 3)]) == first == 1       # elsewhere
    assert labels.label((1, 1), [(2, 1), (4, 1)]) == 2                # would meet the first
    assert labels.label((4, 2), [(4, 1), (3, 2)]) == 1


@pytest.mark.parametrize("placement", ["plain", "split", "tiled"])
def test_a_scheme_that_the_machine_does_not_compute(make_checkpoint, placement):
    model = quantise(make_checkpoint(), recipe=RECIPES["R2"])
    with pytest.raises(BlockError) as caught:
        map_model(load_machine("small"), model, placement=placement)
    assert str(caught.value) == ("core.residual_bits of machine 'small' must be 24 for a model of "
                                 "scheme R2, not 16")
