"""Modules with equal texts become one."""

import re
from collections.abc import Mapping, Sequence

from ouroboros.hw.lib.names import LibraryError
from ouroboros.hw.lib.pieces import Piece
from ouroboros.hw.lib.tidy import plain

__all__ = ["merge"]

SELF = "$self"
"""Stands for a module's name, which is not known before its text is."""


def merge(into: dict[str, str], pieces: Sequence[Piece],
          texts: Mapping[str, Mapping[str, str]]) -> None:
    """Add the modules of a design's pieces, children before parents, to those in ``into``.

    A piece that is like another takes its place; else it gets the name of its kind, and a number
    if that is taken.

    Raises
    ------
    LibraryError
        If the name of a module that the user chose is taken.
    """
    named: dict[str, str] = {}
    known: dict[str, str] = {}
    top = pieces[-1].name
    for piece in pieces:
        own, *parts = _order(piece.name, texts[piece.name])
        # Parts that are no pieces keep the name of their place, which no one else has.
        base = piece.name if piece.name == top else piece.kind
        for part in parts:
            named[plain(part)] = _part(base, piece, part)
        text = _renamed(texts[piece.name][own], {**named, plain(own): SELF})
        inner = {part: _renamed(texts[piece.name][part], {**named, plain(own): SELF})
                 for part in parts}
        whole = "\n".join([*inner.values(), text])
        if whole in known:
            named[plain(own)] = known[whole]
            continue
        name = base
        number = 2
        while name in into and name != top:
            name, number = f"{base}_{number}", number + 1
        if name in into:
            raise LibraryError(f"module {name!r} must not be called like a part of another")
        named[plain(own)] = known[whole] = name
        for part, words in inner.items():
            target = _part(name, piece, part)
            if target in into:
                raise LibraryError(f"module {target!r} must be one part of {name!r}, not two")
            into[target] = _renamed(words, {SELF: name, named[plain(part)]: target})
        into[name] = _renamed(text, {SELF: name, **{
            named[plain(part)]: _part(name, piece, part) for part in parts}})


def _part(name: str, piece: Piece, part: str) -> str:
    """Name of a part that is no piece, in a piece of this name."""
    return name + part.removeprefix(piece.name).replace(".", "_").replace("$", "_")


def _order(name: str, found: Mapping[str, str]) -> list[str]:
    """The piece's own module, then its parts."""
    return [name, *(part for part in found if part != name)]


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Words that are names of modules, by what they shall be called."""
    return re.sub(r"\$self\b|[A-Za-z_][\w$]*", lambda word: names.get(word[0], word[0]), text)
