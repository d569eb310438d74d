"""Shipped shapes against the parameter counts that were published with the models."""

from dataclasses import replace

import pytest

from ouroboros.sw.models.shape import ALIASES, SHAPES, ModelShape, ShapeError, load_shape

# Parameters, and by how much (relative) vectors that are no matrices or rounding may add to them.
PUBLISHED = {
    "llama-7b": (6.738e9, 1e-3),            # arXiv 2302.13971 table 2: 6.7B
    "llama-13b": (13.016e9, 1e-3),          # 13.0B
    "llama-33b": (32.5e9, 2e-3),            # 32.5B
    "llama-65b": (65.2e9, 2e-3),            # 65.2B
    "llama-2-70b": (68.98e9, 1e-3),         # sum of the released tensors
    "llama-3-8b": (8.03e9, 1e-3),           # model card: 8.03B
    "llama-3-70b": (70.6e9, 1e-3),          # model card: 70.6B
    "baichuan-13b": (13_264_901_120, 1e-4), # model card, norms included
    "qwen-32b": (32.5e9, 2e-3),             # model card: 32.5B
    "t5-11b": (11.307e9, 1e-4),             # the released checkpoint
    "bert-large": (340e6, 2e-2),            # arXiv 1810.04805: 340M, pooler and biases included
    "opt-66b": (66e9, 1e-2),                # by name
    "codellama-34b": (33.74e9, 1e-3),       # sum of the released tensors
    "internlm-20b": (20.1e9, 1e-2),         # by name: 20B
    "qwen2-72b": (72.71e9, 1e-3),           # model card: 72.71B
    "gpt-175b": (175e9, 3e-3),              # arXiv 2005.14165 table 2.1: 175.0B
}


def test_every_shape_is_held_against_a_publication():
    assert {path.stem for path in SHAPES.glob("*.toml")} == PUBLISHED.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters(name):
    shape = load_shape(name)
    assert shape.name == name
    assert shape.source
    published, tolerance = PUBLISHED[name]
    assert shape.parameters == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize("name", ALIASES)
def test_aliases(name):
    assert load_shape(name).name == "llama-33b"


BASE = ModelShape(name="x", source="here", dim=32, hidden_dim=48, n_layers=2, n_heads=4,
                  n_kv_heads=2, vocab_size=50)


def test_arithmetic_by_hand():
    assert (BASE.head_dim, BASE.q_width, BASE.kv_width) == (8, 32, 16)
    block = 32 * (32 + 16 + 16 + 32) + 3 * 32 * 48
    assert BASE.block_bytes == block
    assert BASE.weight_bytes == 2 * block + 50 * 32
    assert BASE.parameters == BASE.weight_bytes + 50 * 32
    assert BASE.kv_bytes_per_token == 2 * 2 * 16


def test_wide_heads_no_gate_tied():
    shape = replace(BASE, head_dim=16, gated=False, tied_head=True, positions="learned",
                    position_rows=7)
    block = 32 * (64 + 32 + 32 + 64) + 2 * 32 * 48
    assert shape.weight_bytes == 2 * block + 50 * 32
    assert shape.parameters == 2 * block + 50 * 32 + 7 * 32


def test_decoder_attends_to_the_encoder():
    shape = replace(BASE, kind="encoder-decoder", n_decoder_layers=3)
    cross = 32 * (32 + 16 + 16 + 32)
    assert shape.weight_bytes == 5 * BASE.block_bytes + 3 * cross + 50 * 32
    assert shape.attention_layers == 2 + 2 * 3


def test_encoder_without_head():
    assert replace(BASE, kind="encoder", head=False).weight_bytes == 2 * BASE.block_bytes


@pytest.mark.parametrize(("changes", "message"), [
    ({"kind": "cnn"}, "kind must be one of ('decoder', 'encoder', 'encoder-decoder'), not 'cnn'"),
    ({"positions": "sine"}, ("positions must be one of ('rope', 'learned', 'alibi', 'relative'), "
                            "not 'sine'")),
    ({"n_kv_heads": 3}, "n_heads must be a multiple of n_kv_heads (3), not 4"),
    ({"dim": 30, "head_dim": 0}, "dim must be a multiple of n_heads (4), not 30"),
    ({"head_dim": -1}, "head_dim must be at least 0, not -1"),
    ({"n_decoder_layers": 1}, ("n_decoder_layers must be positive for an encoder-decoder and 0 for "
                              "others, not 1 for kind 'decoder'")),
    ({"positions": "learned"}, ("position_rows must be positive for learned positions and 0 for "
                               "others, not 0 for 'learned'")),
    ({"head": False, "tied_head": True}, "tied_head must be false where head is false, not True")])
def test_refused(changes, message):
    with pytest.raises(ValueError) as error:
        replace(BASE, **changes)
    assert str(error.value) == message


def test_a_wrong_file_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nsource = "me"\ndim = 8\n')
    with pytest.raises(ShapeError, match=r"mine\.toml"):
        load_shape(str(path))
