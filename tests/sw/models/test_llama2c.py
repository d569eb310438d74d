"""llama2.c checkpoints: round trips, layout, damaged files."""

import dataclasses
import struct

import numpy as np
import pytest

from ouroboros.sw.models import llama2c
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.rope import LinearScaling
from ouroboros.sw.models.special import LLAMA2C, SpecialTokens


@pytest.mark.parametrize("tied", [True, False])
def test_round_trip(tied, make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tied=tied)
    path = tmp_path / "model.bin"
    llama2c.write(path, checkpoint)
    again = llama2c.read(path)
    assert again.shape == checkpoint.shape
    assert again.tied is tied
    assert again.name == str(path)
    assert (again.embedding == checkpoint.embedding).all()
    assert (again.head == checkpoint.head).all()
    assert (again.final_norm == checkpoint.final_norm).all()
    for ours, theirs in zip(again.layers, checkpoint.layers, strict=True):
        for name in checkpoint.shape.layer_shapes():
            assert (getattr(ours, name) == getattr(theirs, name)).all()


def test_layout_is_that_of_run_c(tmp_path):
    # One of everything, numbered in file order as memory_map_weights of run.c has it.
    dim, hidden, layers, heads, kv_heads, vocab, seq = 4, 3, 2, 2, 1, 5, 6
    sizes = [("embedding", vocab * dim), ("norm1", layers * dim), ("wq", layers * dim * dim),
             ("wk", layers * 2 * dim), ("wv", layers * 2 * dim), ("wo", layers * dim * dim),
             ("norm2", layers * dim), ("w1", layers * hidden * dim), ("w2", layers * dim * hidden),
             ("w3", layers * hidden * dim), ("final_norm", dim), ("angles", 2 * seq * 1),
             ("head", vocab * dim)]
    start, starts = 0, {}
    for name, size in sizes:
        starts[name] = start
        start += size
    path = tmp_path / "model.bin"
    words = np.arange(start, dtype="<f4")
    words[starts["angles"]:starts["head"]] = 0
    path.write_bytes(struct.pack("<7i", dim, hidden, layers, heads, kv_heads, -vocab, seq)
                     + words.tobytes())
    model = llama2c.read(path)
    assert not model.tied
    for name in ("embedding", "final_norm", "head"):
        assert getattr(model, name).flat[0] == starts[name]
    for name in ("norm1", "wq", "wk", "wv", "wo", "norm2", "w1", "w2", "w3"):
        arrays = [getattr(layer, name) for layer in model.layers]
        assert arrays[0].flat[0] == starts[name]
        assert arrays[1].flat[0] == starts[name] + arrays[0].size


def damage(content):
    header = list(struct.unpack("<7i", content[:28]))

    def with_header(**changes):
        names = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")
        return struct.pack("<7i", *[changes.get(n, v) for n, v in zip(names, header, strict=True)]
                           ) + content[28:]

    size = len(content)
    wrong_size = f"size must be {size} bytes for this header, not"
    wide = 2**30
    layer = 2 * wide * (1 + wide + wide // 2) + 3 * wide * wide
    huge = 28 + 4 * (23 * wide + wide * layer + wide + 24 * wide // 4)
    return {
        "empty": (b"", "header must be 28 bytes, not 0"),
        "zip": (b"PK\x03\x04" + content, (
            "must be a llama2.c checkpoint, not a PyTorch checkpoint or another zip archive: "
            "take the model's safetensors instead")),
        "truncated": (content[:-1], f"truncated: {wrong_size} {size - 1}"),
        "too long": (content + b"\0", f"too long: {wrong_size} {size + 1}"),
        "version 1": (struct.pack("<I6i", 0x616B3432, 1, 0, 0, 0, 0, 0),
                      "version must be 0 (legacy), not 1 of llama2.c's export"),
        "no heads": (with_header(n_heads=0),
                     "header: n_heads must be between 1 and 2147483647, not 0"),
        "negative": (with_header(dim=-16), "header: dim must be between 1 and 2147483647, not -16"),
        "odd head": (with_header(dim=12),
                     "header: head_dim must be even for RoPE, not 3"),
        "huge": (with_header(dim=wide, hidden_dim=wide, n_layers=wide),
                 f"truncated: size must be {huge} bytes for this header, not {size}"),
        "not a number": (content[:28] + struct.pack("<f", float("nan")) + content[32:],
                         "tensor embedding holds NaN or infinity"),
    }


CASES = ["empty", "zip", "truncated", "too long", "version 1", "no heads", "negative", "odd head",
         "huge", "not a number"]


@pytest.mark.parametrize("name", CASES)
def test_damaged_files(name, make_checkpoint, tmp_path):
    path = tmp_path / "model.bin"
    llama2c.write(path, make_checkpoint())
    cases = damage(path.read_bytes())
    assert list(cases) == CASES
    content, message = cases[name]
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        llama2c.read(path)
    assert str(caught.value) == f"{path}: {message}"


def test_missing_file_and_folder(tmp_path):
    for path, reason in ((tmp_path / "none.bin", "No such file or directory"),
                         (tmp_path, "Is a directory")):
        with pytest.raises(CheckpointError) as caught:
            llama2c.read(path)
        assert str(caught.value) == f"{path}: cannot be read: {reason}"


def test_what_the_format_cannot_say_is_not_written(make_checkpoint, tmp_path):
    path = tmp_path / "model.bin"
    special = SpecialTokens(bos_id=0, stop_ids=())
    implied = "norm_eps must be 1e-05 and RoPE not scaled, as a llama2.c file implies, not"
    cases = [
        (make_checkpoint(norm_eps=1e-6), f"{implied} 1e-06 and None"),
        (make_checkpoint(rope_scaling=LinearScaling(factor=2.0)),
         f"{implied} 1e-05 and LinearScaling(factor=2.0)"),
        (make_checkpoint(special=special), (
            f"special tokens must be {LLAMA2C}, as a llama2.c file implies, not {special}")),
    ]
    for checkpoint, message in cases:
        with pytest.raises(CheckpointError) as caught:
            llama2c.write(path, checkpoint)
        assert str(caught.value) == f"{path}: {message}"
        assert not path.exists()


@pytest.mark.parametrize("theta", [1e4, 1e6, 5e5, 123456.0, 100.0])
def test_base_of_rope_is_that_of_the_tables(theta, make_checkpoint, tmp_path):
    path = tmp_path / "model.bin"
    llama2c.write(path, make_checkpoint(rope_theta=theta, dim=64, seq_len=200))
    assert llama2c.read(path).shape.rope_theta == theta


def tables_at(content, shape):
    words = np.frombuffer(content, "<f4", offset=28).copy()
    return words, words[-shape.seq_len * shape.head_dim:].reshape(2, shape.seq_len, -1)


def test_tables_of_no_base_are_refused_and_zeros_say_nothing(make_checkpoint, tmp_path):
    path = tmp_path / "model.bin"
    checkpoint = make_checkpoint(dim=64)
    llama2c.write(path, checkpoint)
    content = path.read_bytes()

    def rewrite(change):
        words, tables = tables_at(content, checkpoint.shape)
        change(tables)
        path.write_bytes(content[:28] + words.tobytes())

    def scaled(tables):
        angle = np.outer(np.arange(24), checkpoint.shape.rope_frequencies) / 2
        tables[:] = np.cos(angle), np.sin(angle)

    def one_changed(tables):
        tables[1, 23, 7] += 0.01

    def swapped(tables):
        tables[:] = tables[::-1].copy()

    def no_numbers(tables):
        tables[:] = np.nan

    for change in (scaled, one_changed, swapped, no_numbers):
        rewrite(change)
        with pytest.raises(CheckpointError, match=rf"^{path}: RoPE tables \(freq_cis_real and"):
            llama2c.read(path)
    rewrite(lambda tables: tables.fill(0))
    assert llama2c.read(path).shape == checkpoint.shape


def test_special_tokens_are_those_of_llama2c(make_checkpoint, tmp_path):
    path = tmp_path / "model.bin"
    for vocab, special in ((23, LLAMA2C), (2, SpecialTokens(bos_id=1, stop_ids=(1,))),
                           (1, SpecialTokens(bos_id=0, stop_ids=()))):
        llama2c.write(path, make_checkpoint(vocab_size=vocab, special=special))
        assert llama2c.read(path).special == special
