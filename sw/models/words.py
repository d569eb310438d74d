"""Tokenizer and chat template of a checkpoint: inside it, beside it, or where the user says."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.json_file import read_object, shown
from ouroboros.sw.lib.read import JSON, foreign, text
from ouroboros.sw.models import tokenizer
from ouroboros.sw.models.chat import ChatTemplate
from ouroboros.sw.models.checkpoint import Checkpoint, CheckpointError
from ouroboros.sw.models.coder import Coder
from ouroboros.sw.models.gguf_header import ANNOUNCED, Header
from ouroboros.sw.models.gguf_header import read as read_header

__all__ = ["Words", "find", "is_gguf"]

_TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """What turns text into a checkpoint's tokens and back."""

    coder: Coder | None = None
    """Its tokenizer, if there is one that can be used."""
    fault: str = "a tokenizer must be given to turn text into tokens"
    """Why there is none."""
    chat: ChatTemplate | None = None
    """Its chat template, if it has one."""


def find(path: Path, model: Checkpoint, named: Path | None = None) -> Words:
    """Tokenizer and chat template of a checkpoint.

    One that was found, not named, is no error here if it cannot be used: many a command needs none.

    Parameters
    ----------
    path : Path
        File or folder of the checkpoint.
    named : Path, optional
        File of the tokenizer, or folder with a tokenizer.json.

    Raises
    ------
    CheckpointError
        If the tokenizer that was named cannot be used, or does not fit the checkpoint.
    """
    if named is not None:
        return _read(_whole(named), model)
    tried = [one for one in _candidates(path) if one.is_file()]
    if not tried:
        return Words(fault=f"{path}: {_missing(path)}")
    try:
        return _read(tried[0], model)
    except CheckpointError as error:
        return Words(fault=str(error))


def is_gguf(path: Path) -> bool:
    """Whether a file is a GGUF model, by its name or its first bytes."""
    return path.suffix == ".gguf" or (
        path.is_file() and (foreign(_head(path)) or ("",))[0] == ANNOUNCED)


def _candidates(path: Path) -> Iterator[Path]:
    """Where a checkpoint's tokenizer may lie, best first."""
    if is_gguf(path):
        yield path
    elif path.is_dir() or path.suffix == ".safetensors":
        yield (path if path.is_dir() else path.parent) / "tokenizer.json"
    else:
        yield path.with_name(f"{path.stem}_tokenizer.bin")
        yield path.with_name("tokenizer.bin")


def _missing(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    if path.suffix != ".bin" and (folder / "tokenizer.model").is_file():
        return ("must hold tokenizer.json, not tokenizer.model alone, a sentencepiece model: save "
                "the tokenizer as tokenizer.json")
    return Words().fault


def _whole(named: Path) -> Path:
    return named / "tokenizer.json" if named.is_dir() else named


def _read(path: Path, model: Checkpoint) -> Words:
    vocab_size, special = model.shape.vocab_size, model.special
    kind = foreign(_head(path))
    if kind is not None and kind[0] == ANNOUNCED:
        return _inside(read_header(path), vocab_size)
    if path.suffix == ".json" or (kind is not None and kind[0] == JSON):
        # The library takes long to import, and llama2.c's models do not need it.
        from ouroboros.sw.models import hf_tokenizer

        return Words(coder=hf_tokenizer.read(path, vocab_size, special),
                     chat=_chat_beside(path.parent))
    return Words(coder=tokenizer.read(path, vocab_size, special))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as fault:
        raise CheckpointError(f"{path}: cannot be read: {fault.strerror}") from fault


def _inside(header: Header, vocab_size: int) -> Words:
    from ouroboros.sw.models import gguf_tokenizer

    coder = gguf_tokenizer.read(header, vocab_size)
    chat = None
    if _TEMPLATE in header.values:
        chat = ChatTemplate(text=header.get(_TEMPLATE, str), name=f"{header.path}: {_TEMPLATE}",
                            bos=_piece(header, "bos"), eos=_piece(header, "eos"))
    return Words(coder=coder, chat=chat)


def _piece(header: Header, which: str) -> str:
    token = header.values.get(f"tokenizer.ggml.{which}_token_id")
    pieces = header.strings("tokenizer.ggml.tokens")
    return pieces[token] if type(token) is int and 0 <= token < len(pieces) else ""


def _chat_beside(folder: Path) -> ChatTemplate | None:
    """The template of a Hugging Face folder: a file of its own, or in tokenizer_config.json."""
    config_path, file = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    config = read_object(config_path, CheckpointError) if config_path.is_file() else {}
    found = None
    if file.is_file():
        found = ChatTemplate(text=text(file, "a chat template", CheckpointError), name=str(file))
    elif config.get("chat_template") is not None:
        found = ChatTemplate(text=_template(config_path, config["chat_template"]),
                             name=f"{config_path}: chat_template")
    return None if found is None else replace(
        found, bos=_token(config.get("bos_token")), eos=_token(config.get("eos_token")))


def _template(path: Path, value: Any) -> str:
    """A template, or the one named ``default`` of several."""
    if isinstance(value, list):
        named = {one.get("name"): one.get("template") for one in value if isinstance(one, dict)}
        value = named.get("default", value)
    if not isinstance(value, str):
        raise CheckpointError(f"{path}: chat_template must be a template, or a list with one whose "
                              f"name is default, not {shown(value)}")
    return value


def _token(value: Any) -> str:
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""
