"""Trains the byte-pair tokenizer of the shipped checkpoint on generated tales.

Ref: Sennrich et al., Neural Machine Translation of Rare Words with Subword Units, 2016,
algorithm 1; the file is llama2.c's.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path

from ouroboros.sw.models import tokenizer
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.models.train.text import tales

__all__ = ["SPECIAL", "train"]

SPECIAL = (b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % byte for byte in range(256)))
"""Tokens that are not pieces of text: unknown, begin, end, and the 256 bytes."""

# Letters, or signs, each with the space before them. Merges stay inside a word.
WORD = re.compile(r" ?[A-Za-z]+| ?[^A-Za-z ]+| ")


def merge(pieces: tuple[str, ...], left: str, right: str) -> tuple[str, ...]:
    """Pieces with every ``left, right`` joined."""
    joined: list[str] = []
    for piece in pieces:
        if joined and joined[-1] == left and piece == right:
            joined[-1] = left + right
        else:
            joined.append(piece)
    return tuple(joined)


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Tokenizer whose merges are the most frequent pairs of the texts.

    Special tokens come first, then merged pieces in order of rank, then single characters. The
    score of a piece is minus its rank, so that encoding merges in the order of training.

    Raises
    ------
    ValueError
        ``vocab_size`` leaves no room for the characters of the texts, or they hold too few pairs.
    """
    # Encoding puts a space before a text.
    counts = Counter(word for text in texts for word in WORD.findall(" " + text))
    chars = Counter[str]()
    for word, count in counts.items():
        for char in word:
            chars[char] += count
    smallest = len(SPECIAL) + len(chars)
    if vocab_size < smallest:
        raise ValueError(f"vocab_size must be at least {smallest}, not {vocab_size!r}")

    split = {word: tuple(word) for word in counts}
    pieces: list[str] = []
    while smallest + len(pieces) < vocab_size:
        pairs = Counter[tuple[str, str]]()
        for word, count in counts.items():
            for pair in pairwise(split[word]):
                pairs[pair] += count
        if not pairs:
            raise ValueError(
                f"vocab_size must be at most {smallest + len(pieces)}, not {vocab_size!r}")
        left, right = max(pairs, key=lambda pair: (pairs[pair], pair))
        split = {word: merge(parts, left, right) for word, parts in split.items()}
        if left + right not in pieces:
            pieces.append(left + right)
    pieces += sorted(chars, key=lambda char: (-chars[char], char))
    return Tokenizer([(name, 0.0) for name in SPECIAL] +
                     [(piece.encode(), -float(rank)) for rank, piece in enumerate(pieces)])


def main() -> None:
    """Train a tokenizer on generated tales and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--vocab-size", type=int, default=512, help="number of tokens")
    parser.add_argument("--seed", type=int, default=1, help="seed of the tales")
    parser.add_argument("--tales", type=int, default=20_000, help="number of tales")
    args = parser.parse_args()
    trained = train(islice(tales(args.seed), args.tales), args.vocab_size)
    tokenizer.write(args.out, trained)
    sizes = [len(trained.encode(tale)) for tale in islice(tales(args.seed + 1), 1000)]
    print(f"{args.out}: {trained.vocab_size} tokens; a tale has {min(sizes)} to {max(sizes)} "
          f"tokens, {sum(sizes) / len(sizes):.1f} in the mean")


if __name__ == "__main__":
    main()
