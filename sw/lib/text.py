"""Text of users, models and files on a terminal: as it is, never taken for commands or markup."""

import unicodedata
from typing import Any

import rich.console
from rich.text import Text

__all__ = ["Console", "literal", "visible"]

_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of control characters, of bytes that are no text, and of ends of lines."""
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What changes the direction in which a terminal shows the text around it."""


def visible(text: str, keep: str = "") -> str:
    r"""The text with control characters as escapes, such as ``\x1b``; all else as it is.

    Parameters
    ----------
    keep : str
        Control characters that may stay, such as ``"\n\t"`` in text of several lines.
    """
    return "".join(
        char if char in keep or not (char in _TURNING or unicodedata.category(char) in _UNSEEN)
        else char.encode("unicode_escape").decode() for char in text)


def literal(text: str, keep: str = "") -> Text:
    """The text for a cell or title of a table that any console prints.

    Square brackets and colons mean nothing in it; control characters are ``visible``.
    """
    return Text(visible(text, keep))


class Console(rich.console.Console):
    """A terminal or file on which all strings, in tables too, are ``literal``.

    Several lines stay several lines; numbers keep their colour.
    """

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The string as rich prints it."""
        return super().render_str(visible(text, keep="\n\t"), **options)
