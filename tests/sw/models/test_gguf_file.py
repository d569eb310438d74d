"""GGUF checkpoints: what the library writes comes back; keys and tensors that are refused."""

from dataclasses import replace

import gguf
import numpy as np
import pytest

from ouroboros.sw.models import gguf_file, hf
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.float_llama import FloatLlama
from ouroboros.sw.models.rope import LinearScaling, PairScaling, frequencies
from ouroboros.sw.models.special import SpecialTokens

WIDE = {"dim": 64, "hidden_dim": 96, "n_heads": 4, "n_kv_heads": 2, "n_layers": 1}


@pytest.mark.parametrize("tied", [True, False])
def test_what_was_written_comes_back(tied, make_checkpoint, write_gguf, tmp_path):
    made = make_checkpoint(tied=tied, norm_eps=0.25, rope_theta=12345.0)
    found = gguf_file.read(write_gguf(tmp_path / "m.gguf", made))
    assert found.shape == made.shape
    assert found.special == SpecialTokens(bos_id=1, stop_ids=(2,))
    assert found.tied is tied and (found.head is found.embedding) is tied
    assert replace(found, special=made.special).digest == made.digest
    assert found.label("layers.1.w2") == "blk.1.ffn_down.weight"


def test_other_heads_and_biases(make_checkpoint, write_gguf, tmp_path):
    made = make_checkpoint(head_dim=6)
    shape = made.shape
    biases = {name: np.arange(*size, dtype=np.float32)
              for name, size in shape.bias_shapes().items()}
    made = replace(made, layers=tuple(replace(layer, **biases) for layer in made.layers))
    found = gguf_file.read(write_gguf(tmp_path / "m.gguf", made))
    assert (found.shape.q_width, found.shape.dim) == (24, 16)
    assert found.biased and found.digest == replace(made, special=found.special).digest


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
def test_types_by_hand(kind, make_checkpoint, write_gguf, tmp_path):
    """The first block of a matrix, from its bytes and ggml's definition of the type."""
    made = make_checkpoint(**WIDE)
    path = write_gguf(tmp_path / "m.gguf", made, kind=kind)
    found = gguf_file.read(path).layers[0].w1
    start = gguf_file.gguf_header.read(path).tensors["blk.0.ffn_gate.weight"].start
    raw = path.read_bytes()[start:start + 64]

    def half(at):
        return np.frombuffer(raw, "<f2", 1, at).astype(np.float32)[0]

    nibbles = np.frombuffer(raw, np.uint8, 16, 4 if kind == "Q4_1" else 2)
    fours = np.concatenate([nibbles & 15, nibbles >> 4]).astype(np.float32)
    expected = {
        "F16": lambda: np.frombuffer(raw, "<f2", 32),
        "BF16": lambda: (np.frombuffer(raw, "<u2", 32).astype(np.uint32) << 16).view(np.float32),
        "Q8_0": lambda: half(0) * np.frombuffer(raw, np.int8, 32, 2),
        "Q4_0": lambda: half(0) * (fours - 8),
        "Q4_1": lambda: half(0) * fours + half(2)}[kind]()
    assert np.array_equal(found[0, :32], expected.astype(np.float32))
    step = np.abs(made.layers[0].w1).max() / (7 if kind.startswith("Q4") else 100)
    assert np.abs(found - made.layers[0].w1).max() < step


def test_every_type_that_the_library_writes(make_checkpoint, write_gguf, tmp_path):
    made = make_checkpoint(dim=256, hidden_dim=256, n_heads=4, n_kv_heads=4, n_layers=1)
    tried = 0
    for kind in gguf.GGMLQuantizationType:
        try:
            expected = gguf.dequantize(gguf.quantize(made.layers[0].w1, kind), kind)
        except NotImplementedError:
            continue
        found = gguf_file.read(write_gguf(tmp_path / f"{kind.name}.gguf", made, kind=kind.name))
        assert np.array_equal(found.layers[0].w1, expected), kind.name
        tried += 1
    assert tried >= 8


def test_rows_are_those_of_the_hugging_face_model(make_checkpoint, write_hf, write_gguf, tmp_path):
    """The published converter's permutation of q and k, then this reader: the same model."""
    made = make_checkpoint(tied=False)
    folder = write_hf(tmp_path / "hf", made)

    def permute(weights, heads):    # convert_hf_to_gguf.py, LlamaModel.permute
        return (weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
                .swapaxes(1, 2).reshape(weights.shape))

    stored = hf._read_tensors([folder / "model.safetensors"])
    layers = tuple(replace(
        layer, wq=permute(stored[f"model.layers.{n}.self_attn.q_proj.weight"], 4),
        wk=permute(stored[f"model.layers.{n}.self_attn.k_proj.weight"], 2))
        for n, layer in enumerate(made.layers))
    found = gguf_file.read(write_gguf(tmp_path / "m.gguf", replace(made, layers=layers)))
    tokens = np.array([[1, 5, 9, 3, 7]])
    assert np.array_equal(FloatLlama(found).forward(tokens),
                          FloatLlama(hf.read(folder)).forward(tokens))


def test_rope_scaling(make_checkpoint, write_gguf, tmp_path):
    made, path = make_checkpoint(), tmp_path / "m.gguf"
    for keys in ({"rope__scaling__type": "linear", "rope__scaling__factor": 4.0},
                 {"rope__scale_linear": 4.0}):
        found = gguf_file.read(write_gguf(path, made, **keys))
        assert found.shape.rope_scaling == LinearScaling(factor=4.0)
    pairs = np.array([1, 8], np.float32)
    shape = gguf_file.read(write_gguf(path, made, more=[("rope_freqs.weight", pairs)])).shape
    assert shape.rope_scaling == PairScaling(factors=(1.0, 8.0))
    assert np.array_equal(shape.rope_frequencies, frequencies(10000.0, 4) / [1, 8])
    assert type(shape).from_record(shape.record() | {
        "rope_scaling": {"factors": [1.0, 8.0]}}) == shape


@pytest.mark.parametrize(("kind", "extra", "expected"), [
    ("llama", {}, (1, (2,))),
    ("llama", {"bos_token_id": 0, "eos_token_id": 5, "eot_token_id": 6}, (0, (5, 6))),
    ("llama", {"add_bos_token": False}, (None, (2,))),
    ("gpt2", {"bos_token_id": 3, "eos_token_id": 3, "eot_token_id": 3}, (None, (3,))),
    ("gpt2", {"bos_token_id": 3, "add_bos_token": True}, (3, ())),
    ("gpt2", {"bos_token_id": 3, "pre": "llama-bpe", "eom_token_id": 9}, (3, (9,)))])
def test_special_tokens(kind, extra, expected, make_checkpoint, write_gguf, tmp_path):
    keys = {"tokenizer.ggml.model": kind} | {
        f"tokenizer.ggml.{name}": value for name, value in extra.items()}
    found = gguf_file.read(write_gguf(tmp_path / "m.gguf", make_checkpoint(), extra=keys)).special
    assert (found.bos_id, found.stop_ids) == expected


FLAT = np.zeros(16, np.float32)
REFUSED = {
    "architecture": ({"architecture": "gemma2"},
                     "general.architecture must be one of llama, not 'gemma2'"),
    "experts": ({"expert_count": 8},
                "llama.expert_count must be 0: mixtures of experts are not supported"),
    "unknown key": ({"attention__sliding_window": 512},
                    ("llama.attention.sliding_window must be absent, as it is not supported, not "
                    "512")),
    "no layers": ({"block_count": None}, "key llama.block_count must be present"),
    "layers": ({"block_count": 2**31 - 1},
               "llama.block_count must be at most the number of tensors, 20, not 2147483647"),
    "more layers": ({"block_count": 3}, "tensor blk.2.attn_norm.weight must be present"),
    "fewer layers": ({"block_count": 1}, ("tensor blk.1.attn_k.weight must not be present in a "
                                          "LLaMA-type model of 1 layers")),
    "eps": ({"attention__layer_norm_rms_epsilon": 0.0},
            "llama.attention.layer_norm_rms_epsilon must be a positive number, not 0.0"),
    "many heads": ({"attention__head_count": [4, 4]},
                   "llama.attention.head_count must be of type int, not '[4, 4]'"),
    "heads": ({"attention__head_count": 3}, "n_heads must be a multiple of n_kv_heads (2), not 3"),
    "part": ({"rope__dimension_count": 2},
             "llama.rope.dimension_count must be the 4 channels of a head, not 2"),
    "values": ({"attention__value_length": 8},
               "llama.attention.value_length must be the 4 channels of a head, not 8"),
    "yarn": ({"rope__scaling__type": "yarn"},
             "llama.rope.scaling.type must be none or linear, not 'yarn'"),
    "vocabulary": ({"vocab_size": 24},
                   "llama.vocab_size must be the 23 rows of token_embd.weight, not 24"),
    "split": ({"extra": {"split.count": 2}}, ("split.count must be 1, not 2: merge the parts into "
                                              "one file (gguf-split --merge)")),
    "eos": ({"extra": {"tokenizer.ggml.eos_token_id": 23}},
            "tokenizer.ggml.eos_token_id must be between 0 and 22, not 23"),
    "ends": ({"extra": {"tokenizer.ggml.add_eos_token": True}},
             ("tokenizer.ggml.add_eos_token must be false: nothing follows a text that has "
              "ended")),
    "bias": ({"more": [("blk.0.attn_output.bias", FLAT)]},
             ("tensor blk.0.attn_output.bias must not be present in a LLaMA-type model of 2 "
              "layers")),
    "two ways": ({"more": [("rope_freqs.weight", FLAT[:2])], "rope__scale_linear": 2.0},
                 "tensor rope_freqs.weight must not be present beside llama.rope.scaling"),
    "no pairs": ({"more": [("rope_freqs.weight", FLAT[:2])]},
                 "tensor rope_freqs.weight must hold positive numbers"),
    "width": ({"feed_forward_length": 24},
              "tensor blk.0.ffn_gate.weight must have shape (24, 16), not (20, 16)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, make_checkpoint, write_gguf, tmp_path):
    options, message = REFUSED[name]
    path = write_gguf(tmp_path / "m.gguf", make_checkpoint(), **options)
    with pytest.raises(CheckpointError) as caught:
        gguf_file.read(path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_tensor_beyond_the_end(make_checkpoint, write_gguf, tmp_path):
    path = write_gguf(tmp_path / "m.gguf", make_checkpoint())
    whole = path.read_bytes()
    path.write_bytes(whole[:-64])
    with pytest.raises(CheckpointError, match=r"tensor .*: truncated: needs 1,280 bytes at .*, but "
                                              f"the file ends at {len(whole) - 64:,}"):
        gguf_file.read(path)


@pytest.mark.parametrize(("number", "words"), [(99, "not of number 99"), (24, "not I8")])
def test_types_that_are_not_supported(number, words, make_checkpoint, write_gguf, tmp_path):
    made = make_checkpoint()
    path = write_gguf(tmp_path / "m.gguf", made)
    name = b"token_embd.weight"
    content = bytearray(path.read_bytes())
    at = content.index(name) + len(name) + 4 + 16
    content[at:at + 4] = number.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        gguf_file.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: tensor token_embd.weight must be of a type that is "
                              "supported (F32, F16, Q4_0, Q4_1, ")
    assert message.endswith(words)
