"""The tokenizer of llama2.c: byte-pair merges by score, with byte fallback.

Ref: Karpathy, llama2.c, run.c ``build_tokenizer``, ``encode``, ``decode``.
"""

import hashlib
import heapq
import math
import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from ouroboros.sw.lib import read as read_file
from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.special import LLAMA2C, SpecialTokens

__all__ = ["Tokenizer", "read", "write"]

_BYTE_PIECE = re.compile(rb"<0x([0-9A-Fa-f]{2})>")
_SCORE_MIN = -1e10


class Tokenizer:
    """Text to token ids and back, as llama2.c does it.

    Parameters
    ----------
    pieces : sequence of (bytes, float)
        Text and merge score of every token. Pieces of the form ``<0x41>`` stand for single bytes,
        into which a character without a piece of its own falls apart.
    special : SpecialTokens, optional
        Tokens that begin and end a text; they print nothing.
    """

    def __init__(self, pieces: Sequence[tuple[bytes, float]], name: str = "tokenizer",
                 special: SpecialTokens = LLAMA2C):
        if not pieces:
            raise CheckpointError(f"{name}: vocabulary must not be empty")
        self.name = name
        self.special = special
        self.pieces = tuple(piece for piece, _ in pieces)
        self.scores = tuple(score for _, score in pieces)
        # The first of two equal pieces wins.
        self._ids = {piece: n for n, piece in reversed(list(enumerate(self.pieces)))}
        self._bytes = {byte: n for piece, n in self._ids.items()
                       if (byte := _byte(piece)) is not None}
        self._silent = {special.bos_id, *special.stop_ids}

    @property
    def digest(self) -> str:
        """Hash of all that decides how text is cut."""
        return hashlib.sha256(
            repr((self.pieces, self.scores, self.special)).encode()).hexdigest()

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self.pieces)

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Token ids of a text, after BOS if the model has one.

        Raises
        ------
        CheckpointError
            If a character has no token, nor do all its bytes.
        """
        tokens = [] if self.special.bos_id is None or not bos else [self.special.bos_id]
        if text:
            # A dummy space goes before the text, as sentencepiece does.
            tokens.append(self._lookup(b" "))
            for n, character in enumerate(text):
                tokens += self._spell(character, f"character {n + 1} of the text")
        return self._merge(tokens)

    def piece(self, previous: int | None, token: int) -> bytes:
        """Bytes that a token prints after ``previous``; a space right after BOS is dropped.

        Of a model without BOS, at the beginning of a text (``previous`` is None).
        """
        piece = self.pieces[self._check(token)]
        if previous == self.special.bos_id and piece.startswith(b" "):
            piece = piece[1:]
        byte = _byte(piece)
        return piece if byte is None else bytes([byte])

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of token ids; special tokens print nothing, broken UTF-8 prints as U+FFFD."""
        content = b""
        previous = None
        for token in tokens:
            if token not in self._silent:
                content += self.piece(previous, token)
            previous = token
        return content.decode("utf-8", errors="replace")

    def check_vocabulary(self, vocab_size: int) -> None:
        """Refuse a tokenizer made for another model."""
        if self.vocab_size != vocab_size:
            raise CheckpointError(f"{self.name}: vocabulary must have the checkpoint's "
                                  f"{vocab_size} tokens, not {self.vocab_size}")

    def _lookup(self, piece: bytes) -> int:
        if piece not in self._ids:
            raise CheckpointError(f"{self.name}: vocabulary must hold the piece {piece!r}")
        return self._ids[piece]

    def _spell(self, character: str, where: str) -> list[int]:
        try:
            coded = character.encode("utf-8", errors="surrogateescape")
        except UnicodeEncodeError:
            raise CheckpointError(f"{self.name}: text must have no half of a surrogate pair, "
                                  f"not {character!r} ({where})") from None
        if coded in self._ids:
            return [self._ids[coded]]
        if not self._bytes.keys() >= set(coded):
            raise CheckpointError(f"{self.name}: vocabulary must have a token for {character!r} "
                                  f"({where}), or for each of its bytes")
        return [self._bytes[byte] for byte in coded]

    def _check(self, token: int) -> int:
        if not 0 <= token < self.vocab_size:
            raise CheckpointError(
                f"{self.name}: token must be below {self.vocab_size}, not {token!r}")
        return token

    def _merge(self, tokens: list[int]) -> list[int]:
        """Merge the best-scoring adjacent pair, the leftmost of equals, until none is left.

        A heap of candidate pairs over a linked list gives llama2.c's result in n log n steps.
        """
        end = len(tokens)
        after = list(range(1, end + 1))
        before = list(range(-1, end - 1))
        alive = [True] * end
        heap: list[tuple[float, int, int, int, int]] = []

        def offer(left: int, right: int) -> None:
            if left < 0 or right >= end:
                return
            merged = self._ids.get(self.pieces[tokens[left]] + self.pieces[tokens[right]])
            if merged is not None and self.scores[merged] > _SCORE_MIN:
                heapq.heappush(
                    heap, (-self.scores[merged], left, tokens[left], tokens[right], merged))

        for left in range(end - 1):
            offer(left, left + 1)
        while heap:
            _, left, was_left, was_right, merged = heapq.heappop(heap)
            if not alive[left] or tokens[left] != was_left:
                continue
            right = after[left]
            if right >= end or tokens[right] != was_right:
                continue
            tokens[left] = merged
            alive[right] = False
            after[left] = after[right]
            if after[left] < end:
                before[after[left]] = left
            offer(before[left], left)
            offer(left, after[left])
        return [token for token, live in zip(tokens, alive, strict=True) if live]


def _byte(piece: bytes) -> int | None:
    """Byte that a piece stands for, if it is of the form ``<0x41>``."""
    match = _BYTE_PIECE.fullmatch(piece)
    return None if match is None else int(match[1], 16)


def read(path: Path, vocab_size: int | None = None,
         special: SpecialTokens = LLAMA2C) -> Tokenizer:
    """Read a llama2.c tokenizer.

    Parameters
    ----------
    vocab_size : int, optional
        That of the checkpoint that it must fit.
    special : SpecialTokens, optional
        Those of the checkpoint: the file does not name any.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, corrupt, of another format or of another vocabulary.
    """
    content = read_file.raw(path, CheckpointError)
    read_file.refuse_foreign(path, content, "a llama2.c tokenizer .bin", CheckpointError)
    if len(content) < 4:
        raise CheckpointError(f"{path}: truncated: header must be 4 bytes, not {len(content)}")
    (longest,) = struct.unpack_from("<i", content)
    if longest < 1:
        raise CheckpointError(f"{path}: corrupt: max_token_length must be positive, not {longest}")
    pieces: list[tuple[bytes, float]] = []
    offset = 4
    while offset < len(content):
        label = f"{path}: token {len(pieces)}"
        if offset + 8 > len(content):
            raise CheckpointError(f"{label}: truncated: the file ends inside its header")
        score, length = struct.unpack_from("<fi", content, offset)
        offset += 8
        if not 0 <= length <= longest or math.isnan(score):
            raise CheckpointError(f"{label}: corrupt: length must be between 0 and "
                                  f"max_token_length = {longest}, not {length}"
                                  if not 0 <= length <= longest else
                                  f"{label}: corrupt: score must be a number")
        if offset + length > len(content):
            raise CheckpointError(f"{label}: truncated: the file ends inside its text")
        pieces.append((content[offset:offset + length], score))
        offset += length
    tokenizer = Tokenizer(pieces, str(path), special)
    if vocab_size is not None:
        tokenizer.check_vocabulary(vocab_size)
    return tokenizer


def write(path: Path, tokenizer: Tokenizer) -> None:
    """Write a llama2.c tokenizer; ``read`` gives the same pieces and scores back."""
    longest = max(map(len, tokenizer.pieces))
    content = struct.pack("<i", max(longest, 1))
    for piece, score in zip(tokenizer.pieces, tokenizer.scores, strict=True):
        content += struct.pack("<fi", score, len(piece)) + piece
    path.write_bytes(content)
