"""Files of other formats under known names, and text with a byte order mark."""

import codecs
import gzip
import io
import pickle
import struct
import zipfile

import pytest

from ouroboros.sw.lib import read
from ouroboros.sw.lib.errors import FileError, OuroborosError


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    return buffer.getvalue()


FORMATS = [
    (zipped(), "a PyTorch checkpoint or another zip archive"),
    (pickle.dumps({"a": [1.0]}, protocol=2), "a PyTorch checkpoint or another pickle"),
    (pickle.dumps({"a": [1.0]}, protocol=4), "a PyTorch checkpoint or another pickle"),
    (b"GGUF\x03\0\0\0", "a GGUF model"),
    (b"tjgg\x01\0\0\0", "a GGML model"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY\x01\0", "a NumPy array"),
    (struct.pack("<Q", 64) + b'{"a":{"dtype":"F32"', "a safetensors file"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n",
     "a pointer of Git LFS"),
    (b"/annex/objects/SHA256E-s12--4d.bin\n", "a pointer of git-annex"),
    (b"../.git/annex/objects/1a/2b/SHA256E-s12--4d.bin\n", "a pointer of git-annex"),
    (b"\n  <!doctype HTML>\n<html>", "a web page"),
    (b"<html lang='en'>", "a web page"),
    (b"\xef\xbb\xbf<?xml version='1.0'?><Error>", "a web page"),
    (b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02\n\x0c\n\x03<s>", "a sentencepiece model"),
    (b"\n\x09\n\x05<unk>\x18\x02", "a sentencepiece model"),
    (gzip.compress(b"x", mtime=0), "a gzip file"),
    (b"\xfd7zXZ\0\0", "an xz file"),
    (b"BZh91AY&SY", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd\x04", "a Zstandard file"),
    (b"a" * 257 + b"ustar", "a tar archive"),
    (b"%PDF-1.7", "a PDF document"),
    (b'{"error": "Repository not found"}', "JSON text"),
    (b'[\n  "a"]', "JSON text"),
]


@pytest.mark.parametrize(("content", "name"), FORMATS)
def test_first_bytes_tell(content, name, tmp_path):
    found = read.foreign(content)
    assert found is not None
    assert found[0] == name
    path = tmp_path / "a.bin"
    with pytest.raises(FileError) as caught:
        read.refuse_foreign(path, content, "a llama2.c checkpoint")
    assert str(caught.value) == f"{path}: must be a llama2.c checkpoint, not {name}: {found[1]}"
    read.refuse_foreign(path, content, "something", allowed=(name,))


# Headers of this project's own files, and text of those that are read as text.
@pytest.mark.parametrize("content", [
    b"", b"P", b"\n", struct.pack("<7i", 64, 172, 5, 8, 4, 512, 512),
    struct.pack("<7i", 640, 172, 5, 8, 4, -512, 512), struct.pack("<ifi", 640, 0.0, 5) + b"<unk>",
    struct.pack("<ifi", 10, -1.5, 123) + b"{" * 123, struct.pack("<ifi", 123, 0.0, 5) + b"<unk>",
    b"cycle,source,destination,flits\n", b"# a machine\n[mesh]\nwidth = 7\n", b"version = 1\n"])
def test_own_formats_are_none_of_them(content):
    assert read.foreign(content) is None


def test_text_with_and_without_a_mark(tmp_path):
    path = tmp_path / "a.toml"
    for content in (b"name = '\xc3\xa9'\n", codecs.BOM_UTF8 + b"name = '\xc3\xa9'\n"):
        path.write_bytes(content)
        assert read.text(path, "a TOML file") == "name = 'é'\n"
    path.write_bytes(b'["a"]\n')
    assert read.text(path, "a TOML file") == '["a"]\n'


class OwnError(OuroborosError):
    """Of a package."""


def test_what_is_no_text_is_refused_by_name(tmp_path):
    path = tmp_path / "a.toml"
    cases = [
        ("a = 1".encode("utf-16"),
         "must be UTF-8, not UTF-16, whose byte order mark it begins with"),
        ("a = 1".encode("utf-32"),
         "must be UTF-8, not UTF-32, whose byte order mark it begins with"),
        (codecs.BOM_UTF16_BE + "a".encode("utf-16-be"),
         "must be UTF-8, not UTF-16, whose byte order mark it begins with"),
        (b"a = '\xe9'\n", "must be UTF-8, but line 1 has the byte 0xe9"),
        (b"a\n\nb\xc3", "must be UTF-8, but line 3 has the byte 0xc3"),
        (gzip.compress(b"a = 1", mtime=0), "must be a TOML file, not a gzip file: unpack it first"),
    ]
    for content, message in cases:
        path.write_bytes(content)
        with pytest.raises(OwnError) as caught:
            read.text(path, "a TOML file", OwnError)
        assert str(caught.value) == f"{path}: {message}"
    for missing, reason in ((tmp_path / "none", "No such file or directory"),
                            (tmp_path, "Is a directory")):
        with pytest.raises(OwnError) as caught:
            read.text(missing, "a TOML file", OwnError)
        assert str(caught.value) == f"{missing}: cannot be read: {reason}"
