"""The tokenizer inside a GGUF file, built with the library ``tokenizers``.

Ref: llama.cpp, src/llama-vocab.cpp, for the names of pre-tokenisers and their expressions;
transformers, convert_slow_tokenizer.py, for merges from the scores of a sentencepiece vocabulary.
"""

from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from ouroboros.sw.models.checkpoint import CheckpointError
from ouroboros.sw.models.gguf_file import LLAMA3, special_tokens
from ouroboros.sw.models.gguf_header import Header
from ouroboros.sw.models.hf_tokenizer import LibraryTokenizer

__all__ = ["PRE", "read"]

_GPT2 = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
_LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
           r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
PRE: dict[str, tuple[str, ...]] = {
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
    "gpt-2": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "qwen2": (_QWEN2,),
    **dict.fromkeys(LLAMA3, (_LLAMA3,)),
}
"""Expressions of a pre-tokeniser by its name in ``tokenizer.ggml.pre``: each cuts what those before
it left, and what it does not match is a piece, too."""
_WHOLE_WORDS = LLAMA3
"""Pre-tokenisers whose words that are pieces are never merged from smaller ones."""
_SPACE = "\u2581"
_UNKNOWN, _CONTROL, _USER, _BYTE = 2, 3, 4, 6
"""Kinds of tokens in ``tokenizer.ggml.token_type``."""


def read(header: Header, vocab_size: int) -> LibraryTokenizer:
    """Build the tokenizer of a file whose model has this vocabulary.

    Raises
    ------
    CheckpointError
        If keys are missing or do not fit each other, or the tokenizer is of a kind that is not
        supported; the message names file and key.
    """
    path = header.path
    pieces = header.strings("tokenizer.ggml.tokens")
    if len(pieces) > vocab_size:
        raise CheckpointError(f"{path}: tokenizer.ggml.tokens must be at most the checkpoint's "
                              f"vocabulary of {vocab_size}, not {len(pieces)}")
    kinds = header.numbers("tokenizer.ggml.token_type") \
        if "tokenizer.ggml.token_type" in header.values else [1] * len(pieces)
    if len(kinds) != len(pieces):
        raise CheckpointError(f"{path}: tokenizer.ggml.token_type must have a kind for each of "
                              f"{len(pieces)} tokens, not {len(kinds)}")
    vocabulary = {piece: n for n, piece in reversed(list(enumerate(pieces)))}
    kind = header.get("tokenizer.ggml.model", str)
    if kind == "gpt2":
        core = _byte_level(header, vocabulary)
    elif kind == "llama":
        core = _sentencepiece(header, pieces, vocabulary, [int(one) for one in kinds])
    else:
        raise CheckpointError(f"{path}: tokenizer.ggml.model must be gpt2 or llama, not {kind!r}")
    for which, special in ((_CONTROL, True), (_USER, False)):
        core.add_tokens([tokenizers.AddedToken(piece, special=special, normalized=False)
                         for piece, one in zip(pieces, kinds, strict=True)
                         if one == which and piece])
    found = LibraryTokenizer(core, str(path), special_tokens(header, vocab_size))
    found.check_vocabulary(vocab_size)
    return found


def _byte_level(header: Header, vocabulary: dict[str, int]) -> Any:
    path = header.path
    name = header.get("tokenizer.ggml.pre", str)
    if name not in PRE:
        raise CheckpointError(f"{path}: tokenizer.ggml.pre must be one of {', '.join(PRE)}, "
                              f"not {name!r}")
    merges = []
    for n, rule in enumerate(header.strings("tokenizer.ggml.merges")):
        left, _, right = rule.partition(" ")
        if not {left, right, left + right} <= vocabulary.keys():
            raise CheckpointError(f"{path}: tokenizer.ggml.merges must be of two tokens that make "
                                  f"one, not {rule!r} (number {n})")
        merges.append((left, right))
    core = tokenizers.Tokenizer(models.BPE(
        vocab=vocabulary, merges=merges, ignore_merges=name in _WHOLE_WORDS))
    if name == "qwen2":
        core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence([
        *(pre_tokenizers.Split(tokenizers.Regex(one), "isolated") for one in PRE[name]),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    core.decoder = decoders.ByteLevel()
    return core


def _sentencepiece(header: Header, pieces: list[str], vocabulary: dict[str, int],
                   kinds: list[int]) -> Any:
    path = header.path
    scores = header.numbers("tokenizer.ggml.scores")
    if len(scores) != len(pieces):
        raise CheckpointError(f"{path}: tokenizer.ggml.scores must have a score for each of "
                              f"{len(pieces)} tokens, not {len(scores)}")
    if any(score != score for score in scores):
        raise CheckpointError(f"{path}: tokenizer.ggml.scores must be numbers, not NaN")
    unknown = next((piece for piece, kind in zip(pieces, kinds, strict=True)
                    if kind == _UNKNOWN), None)
    mergeable = {piece: n for piece, n in vocabulary.items()
                 if kinds[n] not in (_UNKNOWN, _CONTROL, _BYTE)}
    rules = []
    for piece, n in mergeable.items():
        parts = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        rules += [(-scores[n], n, mergeable[left], mergeable[right], left, right)
                  for left, right in parts if left in mergeable and right in mergeable]
    core = tokenizers.Tokenizer(models.BPE(
        vocab=vocabulary, merges=[rule[4:] for rule in sorted(rules)], unk_token=unknown,
        fuse_unk=True, byte_fallback=all(f"<0x{n:02X}>" in vocabulary for n in range(256))))
    prefix = header.get("tokenizer.ggml.add_space_prefix", bool, True)
    spaces = normalizers.Replace(" ", _SPACE)
    core.normalizer = normalizers.Sequence(
        [normalizers.Prepend(_SPACE), spaces]) if prefix else spaces
    core.decoder = decoders.Sequence([
        decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
        *([decoders.Strip(" ", 1, 0)] if prefix else [])])
    return core
