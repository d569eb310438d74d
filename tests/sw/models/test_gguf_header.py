"""Headers of GGUF files, byte by byte: values, and refusals before anything large is made."""

import struct
import time

import pytest

from ouroboros.sw.models import gguf_header
from ouroboros.sw.models.checkpoint import CheckpointError


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def key(name, kind, content):
    return text(name) + struct.pack("<I", kind) + content


def tensor(name, shape, kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def file_of(keys=(), tensors=(), *, version=3, n_keys=None, n_tensors=None):
    counts = (len(tensors) if n_tensors is None else n_tensors,
              len(keys) if n_keys is None else n_keys)
    return b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join([*keys, *tensors])


KEYS = [
    key("a", 4, struct.pack("<I", 7)), key("b", 5, struct.pack("<i", -7)),
    key("c", 6, struct.pack("<f", 0.5)), key("d", 7, b"\1"), key("e", 8, text("Ümläut")),
    key("f", 9, struct.pack("<IQ", 5, 3) + struct.pack("<3i", 1, 2, 3)),
    key("g", 9, struct.pack("<IQ", 8, 2) + text("x") + text("")),
    key("h", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 0, 2) + b"\5\6"),
    key("i", 10, struct.pack("<Q", 1 << 40)), key("j", 12, struct.pack("<d", 1e-6)),
]


def test_every_kind_of_value(tmp_path):
    path = tmp_path / "m.gguf"
    content = file_of(KEYS, [tensor("t", (4, 3), 8, 64)])
    path.write_bytes(content)
    found = gguf_header.read(path)
    assert found.values == {"a": 7, "b": -7, "c": 0.5, "d": True, "e": "Ümläut", "f": [1, 2, 3],
                            "g": ["x", ""], "h": [[5, 6]], "i": 1 << 40, "j": 1e-6}
    one = found.tensors["t"]
    assert (one.shape, one.kind, one.start) == ((3, 4), 8, -(-len(content) // 32) * 32 + 64)
    assert found.whole("a") == 7 and found.whole("z", 3) == 3
    assert found.positive("c") == 0.5 and found.strings("g") == ["x", ""]


def test_alignment(tmp_path):
    path = tmp_path / "m.gguf"
    content = file_of([key("general.alignment", 4, struct.pack("<I", 256))], [tensor("t", (4,))])
    path.write_bytes(content)
    assert gguf_header.read(path).tensors["t"].start == 256


def test_values_of_another_type(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(file_of(KEYS))
    found = gguf_header.read(path)
    for call, message in [
            (lambda: found.whole("z"), "key z must be present"),
            (lambda: found.whole("e"), "e must be of type int, not 'Ümläut'"),
            (lambda: found.whole("b"), "b must be between 1 and 2147483647, not -7"),
            (lambda: found.positive("a"), "a must be of type float, not '7'"),
            (lambda: found.strings("f"), "f must be a list of strings"),
            (lambda: found.numbers("g"), "g must be a list of numbers")]:
        with pytest.raises(CheckpointError) as caught:
            call()
        assert str(caught.value) == f"{path}: {message}"


HUGE = 1 << 60
DAMAGED = {
    "empty": (b"", "must be a GGUF model, which begins with GGUF, not b''"),
    "zip": (b"PK\3\4", ("must be a GGUF model, not a PyTorch checkpoint or another zip archive: "
                        "take the model's safetensors instead")),
    "version": (file_of(version=1), "GGUF version must be 2 or 3, not 1"),
    "big end": (b"GGUF\0\0\0\3" + bytes(16),
                "GGUF version must be 2 or 3, not a file of a big-endian machine"),
    "short": (b"GGUF\3\0\0\0\1",
              "truncated or corrupt: number of tensors needs 8 bytes at 8, but the file ends at 9"),
    "tensors": (file_of(n_tensors=HUGE), (
        f"truncated or corrupt: number of tensors is {HUGE:,}, for which the rest of the file, 8 "
        "bytes, has no room")),
    "keys": (file_of(n_keys=HUGE), (
        f"truncated or corrupt: number of keys is {HUGE:,}, for which the rest of the file, 0 "
        "bytes, has no room")),
    "string": (file_of([text("k") + struct.pack("<IQ", 8, HUGE)]), (
        f"truncated or corrupt: length of k is {HUGE:,}, for which the rest of the file, 0 "
        "bytes, has no room")),
    "list": (file_of([key("k", 9, struct.pack("<IQ", 0, HUGE))]), (
        f"truncated or corrupt: length of k is {HUGE:,}, for which the rest of the file, 0 "
        "bytes, has no room")),
    "kind": (file_of([key("k", 13, b"")]),
             "corrupt: k must be of a type from 0 to 12, not 13"),
    "deep": (file_of([key("k", 9, struct.pack("<IQ", 9, 1) * 3 + struct.pack("<IQ", 0, 0))]),
             "corrupt: k must be of a type from 0 to 12, not 9"),
    "twice": (file_of([KEYS[0], KEYS[0]]), "corrupt: key a must be there once"),
    "same": (file_of((), [tensor("t", (1,)), tensor("t", (1,))]),
             "corrupt: tensor t must be there once"),
    "flat": (file_of((), [tensor("t", ())]),
             "corrupt: tensor t must have 1 to 4 dimensions, not 0"),
    "align": (file_of([key("general.alignment", 4, struct.pack("<I", 24))]),
              "corrupt: general.alignment must be a power of two, not 24"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files(name, tmp_path):
    content, message = DAMAGED[name]
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        gguf_header.read(path)
    assert str(caught.value) == f"{path}: {message}"


def test_every_cut_is_refused_at_once(tmp_path):
    path, whole = tmp_path / "m.gguf", file_of(KEYS, [tensor("t", (4, 3))])
    started = time.perf_counter()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            gguf_header.read(path)
    assert time.perf_counter() - started < 5


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        gguf_header.read(tmp_path / "none.gguf")
    assert str(caught.value) == (
        f"{tmp_path / 'none.gguf'}: cannot be read: No such file or directory")
