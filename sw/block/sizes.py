"""Words, flits and shares of vectors on a machine."""

import itertools

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine

__all__ = ["Sizes", "divide", "overlap"]


def divide(a: int, b: int) -> int:
    """Quotient, rounded up."""
    return -(-a // b)


def overlap(a: range, b: range) -> range:
    """Channels in both."""
    return range(max(a.start, b.start), max(a.start, b.start, min(a.stop, b.stop)))


class Sizes:
    """Sizes of vectors in buffer words and in flits.

    Parameters
    ----------
    machine : Machine
        Widths of words and flits.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        self.word = machine.core.word_bits // 8
        """int8 elements of a buffer word."""

    def words(self, elements: int, kind: Type) -> int:
        """Buffer words of a vector."""
        return divide(elements * kind.bytes, self.word)

    def flits(self, elements: int, kind: Type) -> int:
        """Flits of a vector."""
        return divide(elements * kind.bytes, self.machine.noc.flit_bits // 8)

    def padded(self, count: int) -> int:
        """Elements rounded up to whole words of int8."""
        return divide(count, self.word) * self.word

    def share(self, size: int, n: int, count: int) -> range:
        """Share ``n`` of ``count`` of ``size`` channels; shares begin at word boundaries."""
        share = self.padded(divide(size, count))
        return range(min(n * share, size), min((n + 1) * share, size))

    def shares(self, size: int, count: int) -> list[range]:
        """All shares."""
        return [self.share(size, n, count) for n in range(count)]

    def parts(self, size: int, count: int) -> list[range]:
        """``size`` channels in ``count`` parts that differ by a word at most."""
        words = divide(size, self.word)
        ends = [min(n * words // count * self.word, size) for n in range(count + 1)]
        return [range(a, b) for a, b in itertools.pairwise(ends)]
