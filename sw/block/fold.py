"""Many vectors of equal length become one: pairwise, so that few instructions do it."""

from ouroboros.hw.params.isa import BMode, Fn, Type
from ouroboros.sw.block.stage import EFFECTLESS, StageDraft

__all__ = ["fold"]


def fold(stage: StageDraft, first: int, words: int, count: int, *, fn: Fn = Fn.MAC,
         skip: int = EFFECTLESS, to: int | None = None) -> None:
    """Make one of ``count`` vectors that lie one behind the other: their sum (MAC), their maximum
    (MAX), the best word (PICK). It takes the place of the first.

    Half of them are combined with the other half by one instruction, and so on: ceil(log2(count))
    instructions instead of ``count - 1``. int32 sums must fit; then any order gives the same.

    Parameters
    ----------
    first : int
        Word address of the first vector.
    words : int
        Buffer words of a vector of int32.
    to : int, optional
        Word address of the result, if it is to lie elsewhere; with two vectors or more.
    """
    assert to is None or count > 1, "a vector alone stays where it is"
    elements = words * stage.machine.core.lanes
    while count > 1:
        half = count // 2
        stage.sfu(fn, skip=skip, a=first, a_type=Type.I32, b=first + (count - half) * words,
                  b_mode=BMode.ADD32 if fn is Fn.MAC else BMode.NONE,
                  d=first if to is None or count > 2 else to, length=half * elements)
        count -= half
