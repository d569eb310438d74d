"""Files from outside: their bytes, their text without a byte order mark, their format.

The ending of a name is only a claim. The first bytes tell what a file is, so that another format
under a known name is refused by its own name and never read as numbers.
"""

import re
from pathlib import Path

from ouroboros.hw.params.text import utf8
from ouroboros.sw.lib.errors import FileError, OuroborosError

__all__ = ["foreign", "raw", "refuse_foreign", "text"]

_SAFETENSORS = "take the model's safetensors instead"
_UNPACK = "unpack it first"
_ITSELF = "download the file itself"
_CONVERT = "convert it first"
JSON = "JSON text"

_FORMATS = tuple((re.compile(pattern, re.DOTALL), name, advice) for pattern, name, advice in (
    (rb"PK(\x03\x04|\x05\x06)", "a PyTorch checkpoint or another zip archive", _SAFETENSORS),
    # After the protocol comes an opcode, which is never 0.
    (rb"\x80[\x02-\x05][^\x00]", "a PyTorch checkpoint or another pickle", _SAFETENSORS),
    (rb"GGUF", "a GGUF model", _SAFETENSORS),
    (rb"lmgg|fmgg|tjgg|algg", "a GGML model", _SAFETENSORS),
    (rb"\x89HDF\r\n", "an HDF5 file", _SAFETENSORS),
    (rb"\x93NUMPY", "a NumPy array", _SAFETENSORS),
    (rb".{4}\x00{4}\{", "a safetensors file",
     "name it .safetensors and put config.json beside it"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "fetch the file: git lfs pull"),
    (rb"[/.a-z]*annex/objects/", "a pointer of git-annex", "fetch the file: git annex get"),
    (rb"(\xef\xbb\xbf)?\s*<(?i:!doctype|html|head|body|\?xml|!--)", "a web page", _ITSELF),
    (rb"%PDF-", "a PDF document", _ITSELF),
    # A message of pieces; the first piece (field 1) begins with its text (1), then score or kind.
    (rb"\n.\n(?:" + b"|".join(rb"\x%02x.{%d}" % (n, n) for n in range(1, 100)) + rb")[\x15\x18]",
     "a sentencepiece model", _CONVERT),
    (rb"\x1f\x8b\x08", "a gzip file", _UNPACK),
    (rb"\xfd7zXZ\x00", "an xz file", _UNPACK),
    (rb"BZh[1-9]1AY&SY", "a bzip2 file", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"(\xef\xbb\xbf)?\s*[{\[]\s*[\"{\[}\]]", JSON, _CONVERT),
))
"""How a file of each format begins, what it is, and what to do."""


def foreign(head: bytes) -> tuple[str, str] | None:
    """Name of the known format that bytes begin, and what to do with it; None for any other."""
    return next(((name, advice) for pattern, name, advice in _FORMATS if pattern.match(head)),
                None)


def refuse_foreign(path: Path, head: bytes, wanted: str, error: type[OuroborosError] = FileError,
                   allowed: tuple[str, ...] = ()) -> None:
    """Refuse a file whose first bytes are those of another format.

    Parameters
    ----------
    wanted : str
        What the file must be, with its article.
    allowed : tuple of str
        Names of ``foreign`` that are no fault here.
    """
    found = foreign(head)
    if found is not None and found[0] not in allowed:
        raise error(f"{path}: must be {wanted}, not {found[0]}: {found[1]}")


def raw(path: Path, error: type[OuroborosError] = FileError) -> bytes:
    """All bytes of a file; refused in one sentence with its name if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise error(f"{path}: cannot be read: {fault.strerror}") from fault


def text(path: Path, wanted: str, error: type[OuroborosError] = FileError) -> str:
    """Text of a UTF-8 file, with or without a byte order mark.

    Parameters
    ----------
    wanted : str
        What the file must be, with its article, for the refusal of another format.
    """
    content = raw(path, error)
    # TOML and JSON may begin alike; whoever parses the text tells them apart.
    refuse_foreign(path, content, wanted, error, (JSON,))
    try:
        return utf8(content)
    except ValueError as fault:
        raise error(f"{path}: {fault}") from None
