"""The tokenizer of llama2.c: byte-pair merges by score, with byte fallback.

Ref: Karpathy, llama2.c, run.c ``build_tokenizer``, ``encode``, ``decode``.
"""

import heapq
import math
import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from ouroboros.sw.models.checkpoint import CheckpointError

__all__ = ["BOS_ID", "EOS_ID", "Tokenizer", "read", "write"]

BOS_ID = 1
EOS_ID = 2
_BYTE_OFFSET = 3
_BYTE_PIECE = re.compile(rb"<0x([0-9A-Fa-f]{2})>")
_SCORE_MIN = -1e10


class Tokenizer:
    """Text to token ids and back, as llama2.c does it.

    Parameters
    ----------
    pieces : sequence of (bytes, float)
        Text and merge score of every token; ids 0 to 2 are unknown, BOS and EOS, and ids 3 to 258
        the 256 single bytes if the vocabulary is long enough to hold them.
    """

    def __init__(self, pieces: Sequence[tuple[bytes, float]], name: str = "tokenizer"):
        if not pieces:
            raise CheckpointError(f"{name}: vocabulary must not be empty")
        self.name = name
        self.pieces = tuple(piece for piece, _ in pieces)
        self.scores = tuple(score for _, score in pieces)
        # The first of two equal pieces wins.
        self._ids = {piece: n for n, piece in reversed(list(enumerate(self.pieces)))}

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self.pieces)

    def encode(self, text: str, *, bos: bool = True, eos: bool = False) -> list[int]:
        """Token ids of a text."""
        tokens = [BOS_ID] if bos else []
        if text:
            # A dummy space goes before the text, as sentencepiece does.
            tokens.append(self._lookup(b" "))
            for character in text:
                coded = character.encode("utf-8", errors="surrogateescape")
                found = self._ids.get(coded)
                tokens += [found] if found is not None else [
                    self._check(byte + _BYTE_OFFSET) for byte in coded]
        tokens = self._merge(tokens)
        return [*tokens, EOS_ID] if eos else tokens

    def piece(self, previous: int | None, token: int) -> bytes:
        """Bytes that a token prints after ``previous``; a space right after BOS is dropped."""
        piece = self.pieces[self._check(token)]
        if previous == BOS_ID and piece.startswith(b" "):
            piece = piece[1:]
        match = _BYTE_PIECE.match(piece)
        return bytes([int(match[1], 16)]) if match else piece

    def decode(self, tokens: Iterable[int]) -> str:
        """Text of token ids; BOS and EOS print nothing, broken UTF-8 prints as U+FFFD."""
        content = b""
        previous = None
        for token in tokens:
            if token not in (BOS_ID, EOS_ID):
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


def read(path: Path, vocab_size: int | None = None) -> Tokenizer:
    """Read a llama2.c tokenizer; ``vocab_size`` is that of the checkpoint it must fit.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, corrupt, of another format or of another vocabulary.
    """
    if path.suffix == ".json" or path.is_dir():
        raise CheckpointError(f"{path}: tokenizer must be a llama2.c tokenizer .bin; the "
                              "tokenizer.json of Hugging Face is not read, convert it first")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
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
    tokenizer = Tokenizer(pieces, str(path))
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
