"""Operands of two digits: two products of the int8 array, one sum."""

from collections.abc import Callable

from ouroboros.hw.params.isa import BMode, Fn, MMode
from ouroboros.sw.block.macros import MatrixPlan
from ouroboros.sw.block.stage import Operation, StageDraft
from ouroboros.sw.block.tensors import Matrix, Param

__all__ = ["add_low", "keep_high", "multiply_digits"]

HIGH_DIGIT = Param("high", -1)
"""What the sums of high digits are multiplied by."""


def keep_high(stage: StageDraft, acc: int, count: int, *, release: bool = True) -> None:
    """The drain stream, of high digits, to ``count`` int32 from word ``acc``."""
    stage.sfu(Fn.MAC, d=acc, length=count, m_mode=MMode.FIXED, param=(HIGH_DIGIT, 0),
              release=release)


def add_low(stage: StageDraft, acc: int, count: int, *, release: bool = True) -> None:
    """The drain stream, of low digits, added to ``count`` int32 from word ``acc``."""
    stage.sfu(Fn.MAC, b=acc, b_mode=BMode.ADD32, d=acc, length=count, release=release)


def multiply_digits(stage: StageDraft, matrix: Matrix, plan: MatrixPlan, *, high: int, low: int,
                    acc: str) -> None:
    """Multiply a vector of two digits, int8 from words ``high`` and ``low``: sums to area ``acc``.

    Each pass of the matrix is made for the high digits, then for the low ones.
    """
    def to(keep: Callable[..., None]) -> Operation:
        def operation(start: int, count: int, release: bool) -> None:
            keep(stage, stage.at(acc, start), count, release=release)
        return operation

    stage.matrices.append((matrix, plan))
    for step in plan.passes:
        for src, keep in ((high, keep_high), (low, add_low)):
            stage.one_pass(step, src, [(0, matrix.outputs, to(keep))])
