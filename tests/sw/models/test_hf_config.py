"""What config.json says of RoPE, and three files of special tokens: read or refused by name."""

import json

import pytest

from ouroboros.sw.models import hf_config
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.rope import LinearScaling, Llama3Scaling
from ouroboros.sw.models.special import SpecialTokens

CONFIG = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 20,
          "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
          "vocab_size": 23, "max_position_embeddings": 24}
LINEAR = {"rope_type": "linear", "factor": 4.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
FOUR = LinearScaling(factor=4.0)


@pytest.fixture
def rope(tmp_path):
    def read(**changes):
        shape = hf_config.shape(tmp_path / "config.json", CONFIG | changes)
        return shape.rope_theta, shape.rope_scaling
    return read


@pytest.mark.parametrize(("changes", "found"), [
    ({}, (10000.0, None)),
    ({"rope_theta": 500}, (500.0, None)),
    ({"rope_scaling": None, "rope_interleaved": False, "partial_rotary_factor": 1.0},
     (10000.0, None)),
    ({"rope_scaling": {}}, (10000.0, None)),
    ({"rope_scaling": {"type": "default"}}, (10000.0, None)),
    ({"rope_scaling": {"type": "linear", "factor": 4}}, (10000.0, FOUR)),
    ({"rope_scaling": LINEAR, "rope_theta": 7.0}, (7.0, FOUR)),
    ({"rope_scaling": LINEAR | {"type": "linear"}}, (10000.0, FOUR)),
    ({"rope_parameters": LINEAR | {"rope_theta": 9.0}}, (9.0, FOUR)),
    ({"rope_parameters": LINEAR | {"rope_theta": 9.0}, "rope_theta": 9}, (9.0, FOUR)),
    ({"rope_parameters": LINEAR, "rope_scaling": {"type": "linear", "factor": 4}},
     (10000.0, FOUR)),
    ({"rope_scaling": LLAMA3}, (10000.0, Llama3Scaling(
        factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_positions=8192))),
])
def test_rope_that_is_supported(changes, found, rope):
    assert rope(**changes) == found


@pytest.mark.parametrize(("changes", "message"), [
    ({"rope_theta": -1}, "rope_theta must be a positive number, not -1"),
    ({"rope_scaling": "linear"}, "rope_scaling must be an object or null, not 'linear'"),
    ({"rope_scaling": 0}, "rope_scaling must be an object or null, not 0"),
    ({"rope_scaling": {"factor": 4.0}},
     "rope_scaling must have the key rope_type beside factor"),
    ({"rope_scaling": {"type": "yarn", "factor": 4.0}},
     "rope_scaling must be of type default, linear, llama3, not 'yarn'"),
    ({"rope_parameters": {"rope_type": ["linear"], "factor": 4.0}},
     "rope_parameters must be of type default, linear, llama3, not ['linear']"),
    ({"rope_scaling": {"type": "linear", "rope_type": "llama3", "factor": 4.0}},
     "rope_scaling.type must be rope_type = 'llama3', not 'linear'"),
    ({"rope_scaling": {"type": "linear"}},
     "rope_scaling.factor must be a positive number for type linear, not None"),
    ({"rope_scaling": {"type": "linear", "factor": "4"}},
     "rope_scaling.factor must be a positive number for type linear, not '4'"),
    ({"rope_scaling": {"type": "linear", "factor": 0.5}},
     "rope_scaling.factor must be at least 1, not 0.5"),
    ({"rope_scaling": LINEAR | {"beta_fast": 32}},
     "rope_scaling.beta_fast must be absent for type linear, not 32"),
    ({"rope_parameters": {"rope_type": "default", "factor": 2.0}},
     "rope_parameters.factor must be absent for type default, not 2.0"),
    ({"rope_parameters": LINEAR | {"partial_rotary_factor": 0.5}},
     "rope_parameters.partial_rotary_factor must be absent for type linear, not 0.5"),
    ({"rope_scaling": LLAMA3 | {"high_freq_factor": 1}},
     "rope_scaling.high_freq_factor must be above low_freq_factor = 1, not 1"),
    ({"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 81.5}},
     "original_max_position_embeddings must be a whole number, not 81.5"),
    ({"rope_scaling": LINEAR, "rope_parameters": {"rope_type": "default"}},
     (f"rope_scaling must say the same as rope_parameters, not {LINEAR!r} beside "
     "{'rope_type': 'default'}")),
    ({"rope_theta": 5.0, "rope_parameters": {"rope_theta": 6.0}},
     "rope_parameters.rope_theta must be rope_theta = 5, not 6"),
    ({"partial_rotary_factor": 0.25},
     "partial_rotary_factor must be absent, as such RoPE is not supported, not 0.25"),
    ({"rope_interleaved": True},
     "rope_interleaved must be absent, as such RoPE is not supported, not True"),
    ({"rotary_emb_base": 5},
     "rotary_emb_base must be absent, as such RoPE is not supported, not 5"),
    ({"no_rope_layers": [1, 1]},
     "no_rope_layers must be absent, as such RoPE is not supported, not [1, 1]"),
])
def test_rope_that_is_refused(changes, message, rope, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        rope(**changes)
    assert str(caught.value) == f"{tmp_path / 'config.json'}: {message}"


@pytest.fixture
def special(tmp_path):
    def read(config=(), **files):
        for name, table in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(table))
        found = hf_config.special_tokens(tmp_path, dict(config), 23)
        return found.bos_id, found.stop_ids
    return read


@pytest.mark.parametrize(("config", "files", "found"), [
    # What LlamaConfig has where the file says nothing.
    ({}, {}, (1, (2,))),
    ({"bos_token_id": 0, "eos_token_id": 22}, {}, (0, (22,))),
    ({"bos_token_id": None, "eos_token_id": None}, {}, (None, ())),
    ({"bos_token_id": [5], "eos_token_id": [3, 9, 3]}, {}, (5, (3, 9))),
    ({"eos_token_id": []}, {}, (1, ())),
    ({"bos_token_id": 7, "eos_token_id": 7}, {}, (7, (7,))),
    ({"bos_token_id": 0, "eos_token_id": 4},
     {"generation_config": {"eos_token_id": [4, 5]}}, (0, (4, 5))),
    ({"bos_token_id": 0, "eos_token_id": 400},
     {"generation_config": {"bos_token_id": 3, "eos_token_id": 4}}, (3, (4,))),
    ({"bos_token_id": 0}, {"tokenizer_config": {"add_bos_token": False}}, (None, (2,))),
    ({"bos_token_id": 0}, {"tokenizer_config": {"add_bos_token": True}}, (0, (2,))),
])
def test_special_tokens(config, files, found, special):
    assert special(config, **files) == found


def test_a_small_vocabulary_lacks_the_usual_ones(tmp_path):
    assert hf_config.special_tokens(tmp_path, {}, 2) == SpecialTokens(bos_id=1, stop_ids=())


@pytest.mark.parametrize(("config", "files", "message"), [
    ({"bos_token_id": 23}, {}, "config.json: bos_token_id must be between 0 and 22, not 23"),
    ({"eos_token_id": [2, -1]}, {}, "config.json: eos_token_id must be between 0 and 22, not -1"),
    ({"eos_token_id": "2"}, {}, "config.json: eos_token_id must be between 0 and 22, not '2'"),
    ({"bos_token_id": True}, {}, "config.json: bos_token_id must be between 0 and 22, not True"),
    ({}, {"generation_config": {"eos_token_id": 2.0}},
     "generation_config.json: eos_token_id must be between 0 and 22, not 2.0"),
    ({}, {"generation_config": []},
     "generation_config.json: must hold one JSON object, not []"),
])
def test_special_tokens_outside_the_vocabulary(config, files, message, special, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        special(config, **files)
    assert str(caught.value) == f"{tmp_path}/{message}"


def test_a_text_begins_with_one_token(special, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        special({"bos_token_id": [1, 2]})
    assert str(caught.value) == f"{tmp_path}: bos_token_id must be one token, not [1, 2]"
