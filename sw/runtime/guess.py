"""Tokens that a text may go on with, looked up in the text itself; their results, until they count.

A guess goes in before it is known; so its result may come before, too, and waits here until the
text has reached it. What the machine says then is what it would have said: a wrong guess's KV is
written again before anything reads it.
"""

from collections.abc import Iterator, Sequence

from ouroboros.sw.runtime.results import Result

__all__ = ["LONGEST", "Early", "looked_up"]

LONGEST = 3
"""Tokens at the end of a text that are looked for in it, at most."""


def looked_up(text: Sequence[int], count: int) -> list[int]:
    """At most ``count`` tokens that followed the last time the text's end was there before.

    The longest end that was, of ``LONGEST`` tokens at most; what a text's end overlaps goes on
    with itself. Nothing if its last token is new.
    """
    text = list(text)
    for length in range(min(LONGEST, len(text) - 1), 0, -1):
        end = text[-length:]
        for start in range(len(text) - length - 1, -1, -1):
            if text[start:start + length] == end:
                found = text[start + length:]
                while len(found) < count:
                    found += found
                return found[:count]
    return []


class Early:
    """Results of guesses that are not known to be right, by sequence id and position."""

    def __init__(self) -> None:
        self._held: dict[int, dict[int, Result]] = {}

    def add(self, result: Result) -> None:
        """Keep one."""
        self._held.setdefault(result.sequence, {})[result.position] = result

    def due(self, sequence: int, first: int, last: int | None) -> Iterator[Result]:
        """Take, in order, those of a sequence below ``first``, and those from ``last`` on.

        Parameters
        ----------
        first : int
            Length of its text: these are known to be right.
        last : int, optional
            These are known to count no more.
        """
        held = self._held.get(sequence, {})
        for position in sorted(held):
            if position < first or (last is not None and position >= last):
                yield held.pop(position)

    def clear(self) -> None:
        """The machine has forgotten them."""
        self._held.clear()
