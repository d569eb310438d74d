"""Tokenizers of the library ``tokenizers``: a ``tokenizer.json``, or one built from other files."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import pre_tokenizers

from ouroboros.sw.lib.json_file import read_object
from ouroboros.sw.lib.read import text as read_text
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.special import LLAMA2C, SpecialTokens

__all__ = ["LibraryTokenizer", "read"]


class LibraryTokenizer:
    """Text to token ids and back, as the library does it.

    Parameters
    ----------
    core : tokenizers.Tokenizer
        Of the library; what it adds before and after a text is not used.
    name : str
        Where it came from.
    special : SpecialTokens
        Tokens that begin and end a text.
    """

    def __init__(self, core: Any, name: str, special: SpecialTokens):
        core.no_truncation()
        core.no_padding()
        self._core = core
        self.name = name
        self.special = special

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """Text of every token as its file spells it; of an id without one, nothing."""
        found = self._core.get_vocab(with_added_tokens=True)
        pieces = [b""] * (max(found.values(), default=-1) + 1)
        for text, token in found.items():
            pieces[token] = text.encode("utf-8", errors="surrogateescape")
        return tuple(pieces)

    @cached_property
    def digest(self) -> str:
        """Hash of all that decides how text is cut."""
        return hashlib.sha256(f"{self._core.to_str()} {self.special}".encode()).hexdigest()

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Token ids of a text, after BOS if the model has one.

        Raises
        ------
        CheckpointError
            If a character has no token, nor do all its bytes.
        """
        self._check_text(text)
        tokens: list[int] = self._core.encode(text, add_special_tokens=False).ids
        begin = [] if self.special.bos_id is None or not bos else [self.special.bos_id]
        return begin + tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of token ids; special tokens print nothing, broken UTF-8 prints as U+FFFD."""
        silent = {self.special.bos_id, *self.special.stop_ids}
        shown = []
        for token in tokens:
            if not 0 <= token < 2**31:
                raise CheckpointError(f"{self.name}: token must be below {len(self.pieces)}, "
                                      f"not {token!r}")
            if token not in silent:
                shown.append(token)
        text: str = self._core.decode(shown, skip_special_tokens=True)
        return text

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse a tokenizer with tokens that the model does not have; it may have fewer."""
        if len(self.pieces) > vocab_size:
            raise CheckpointError(f"{self.name}: ids must be below the checkpoint's vocabulary of "
                                  f"{vocab_size}, not {len(self.pieces) - 1}")

    def _check_text(self, text: str) -> None:
        for n, character in enumerate(text):
            if "\ud800" <= character <= "\udfff":
                raise CheckpointError(f"{self.name}: text must have no half of a surrogate pair, "
                                      f"not {character!r} (character {n + 1} of the text)")
        # The library leaves out what it has no token for, without a word.
        for character in set(text) if self._forgetful else ():
            if self._loses(character):
                raise CheckpointError(
                    f"{self.name}: vocabulary must have a token for {character!r} (character "
                    f"{text.index(character) + 1} of the text), or for each of its bytes")

    @cached_property
    def _forgetful(self) -> bool:
        """Whether there may be text that has no token at all."""
        model = self._core.model
        known = self._core.get_vocab(with_added_tokens=False)
        if isinstance(model, tokenizers.models.BPE):
            bytes_there = all(f"<0x{n:02X}>" in known for n in range(256))
            unknown = model.unk_token is not None and model.unk_token in known
            return not (self._letters <= known.keys() if self._by_bytes
                        else unknown or (model.byte_fallback and bytes_there))
        return False

    @cached_property
    def _by_bytes(self) -> bool:
        return '"type":"ByteLevel"' in json.dumps(
            json.loads(self._core.to_str()).get("pre_tokenizer"), separators=(",", ":"))

    @cached_property
    def _letters(self) -> set[str]:
        return set(pre_tokenizers.ByteLevel.alphabet())

    def _loses(self, character: str) -> bool:
        tokens = self._core.encode(character, add_special_tokens=False).ids
        if self._by_bytes:
            return len("".join(self._core.id_to_token(token) for token in tokens)) < len(
                character.encode())
        return not tokens and not character.isspace()


def read(path: Path, vocab_size: int | None = None,
         special: SpecialTokens = LLAMA2C) -> LibraryTokenizer:
    """Read a ``tokenizer.json``.

    Texts begin with BOS if a tokenizer_config.json beside it says so; if that does not say, if the
    post-processor adds it.

    Parameters
    ----------
    vocab_size : int, optional
        That of the checkpoint that it must fit.
    special : SpecialTokens, optional
        Those of the checkpoint.

    Raises
    ------
    CheckpointError
        If the file is missing, corrupt or of another vocabulary.
    """
    content = read_text(path, "a tokenizer.json", CheckpointError)
    try:
        core = tokenizers.Tokenizer.from_str(content)
    except Exception as fault:      # the library raises no narrower class
        raise CheckpointError(f"{path}: corrupt, or not a tokenizer.json: "
                              f"{' '.join(str(fault).split())}") from None
    found = LibraryTokenizer(core, str(path), special)
    beside = path.with_name("tokenizer_config.json")
    says = read_object(beside, CheckpointError).get("add_bos_token") if beside.exists() else None
    if type(says) is not bool:
        found.special = replace(special, bos_id=_begins(core, path))
    if vocab_size is not None:
        found.check_vocabulary(vocab_size)
    return found


def _begins(core: Any, path: Path) -> int | None:
    """What the post-processor puts before a text: one token or none."""
    plain, whole = (core.encode("a", add_special_tokens=added).ids for added in (False, True))
    before = whole[:len(whole) - len(plain)]
    if len(before) > 1 or whole != before + plain:
        raise CheckpointError(f"{path}: post_processor must add at most one token, before the "
                              f"text, not make {whole} of {plain}")
    return before[0] if before else None
