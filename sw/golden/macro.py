"""What a CIM macro computes, command by command, and how long the array is busy with it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroboros.hw.params.cim import CimParams
from ouroboros.hw.params.machine import Machine

__all__ = ["Drained", "Macro", "valid_groups", "wrap32"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drained:
    """Contents of the drain registers."""

    sums: Ints
    """(outputs,) int32; 0 outside the columns."""

    valid: Bools
    """(outputs,) whether the output is inside the command's columns."""


class Macro:
    """A macro without its clock: ``write``, ``clear`` and ``load``, then ``command``."""

    def __init__(self, machine: Machine):
        self.params = machine.cim
        self.word_bytes = machine.core.word_bits // 8
        self.weights = np.zeros((self.params.rows, self.params.outputs), np.int64)
        self.operands = np.zeros((2, self.params.rows), np.int64)
        self.valid = np.zeros((2, self.params.rows), np.bool_)
        self.accumulators = np.zeros(self.params.outputs, np.int64)

    def write(self, row: int, mask: npt.ArrayLike, data: npt.ArrayLike) -> None:
        """Write the bytes of ``data`` (outputs,) where ``mask`` (outputs,) is set."""
        _within("row", row, self.params.rows)
        keep = _bools("mask", mask, self.params.outputs)
        self.weights[row] = np.where(keep, _int8s("data", data, self.params.outputs),
                                     self.weights[row])

    def write_column(self, row: int, output: int, data: npt.ArrayLike) -> None:
        """Write a byte of ``data`` (k_write_rows_per_cycle,) to each row around ``row``."""
        together = self.params.k_write_rows_per_cycle
        _within("row", row, self.params.rows)
        _within("output", output, self.params.outputs)
        first = row - row % together
        self.weights[first:first + together, output] = _int8s("data", data, together)

    def clear(self, bank: int) -> None:
        """Make every operand row of ``bank`` invalid."""
        _within("bank", bank, 2)
        self.valid[bank] = False

    def load(self, bank: int, index: int, data: npt.ArrayLike, mask: npt.ArrayLike) -> None:
        """Store word ``index`` of operands and its valid bits; both (word_bytes,)."""
        _within("bank", bank, 2)
        _within("index", index, -(-self.params.rows // self.word_bytes))
        values = _int8s("data", data, self.word_bytes)
        keep = _bools("mask", mask, self.word_bytes)
        low = index * self.word_bytes
        count = min(self.word_bytes, self.params.rows - low)
        self.operands[bank, low:low + count] = values[:count]
        self.valid[bank, low:low + count] = keep[:count]

    def command(self, *, bank: int, first_group: int, operand_group: int, groups: int,
                first: bool, last: bool, columns: npt.ArrayLike) -> Drained | None:
        """Run one command; what it drains, if it has ``last``."""
        params = self.params
        _within("bank", bank, 2)
        _within("first_group", first_group, params.groups)
        _within("operand_group", operand_group, params.groups)
        _within("groups", groups, params.groups + 1)
        keep = _bools("columns", columns, params.outputs)
        if first:
            self.accumulators = np.zeros(params.outputs, np.int64)
        for group in valid_groups(params, self.valid[bank], operand_group, groups):
            weight_group = (group - operand_group + first_group) % params.groups
            rows = slice(weight_group * params.active_rows, (weight_group + 1) * params.active_rows)
            used = slice(group * params.active_rows, (group + 1) * params.active_rows)
            values = np.where(self.valid[bank, used], self.operands[bank, used], 0)
            self.accumulators = wrap32(
                self.accumulators + np.matmul(values, self.weights[rows], dtype=np.int64))
        if not last:
            return None
        return Drained(np.where(keep, self.accumulators, 0), keep)

    def command_cycles(self, bank: int, operand_group: int, groups: int) -> int:
        """Array cycles of a command on the present operands."""
        return self.params.command_cycles(
            len(valid_groups(self.params, self.valid[bank], operand_group, groups)))


def valid_groups(params: CimParams, valid: npt.ArrayLike, operand_group: int,
                 groups: int) -> list[int]:
    """Operand groups that a command computes, in order.

    Those of ``operand_group .. operand_group + groups - 1`` with at least one row valid in
    ``valid`` (rows,).
    """
    rows = _bools("valid", valid, params.rows)
    live = np.any(rows.reshape(params.groups, params.active_rows), axis=1).tolist()
    end = min(operand_group + groups, params.groups)
    return [group for group in range(operand_group, end) if live[group]]


def wrap32(values: Ints) -> Ints:
    """Values modulo 2**32, in -2**31 .. 2**31 - 1."""
    return values.astype(np.uint64).astype(np.uint32).astype(np.int32).astype(np.int64)


def _within(name: str, value: int, end: int) -> None:
    if value not in range(end):
        raise ValueError(f"{name} must be between 0 and {end - 1}, not {value!r}")


def _bools(name: str, values: npt.ArrayLike, count: int) -> Bools:
    array = np.asarray(values)
    if array.dtype != np.bool_ or array.shape != (count,):
        raise ValueError(f"{name} must be ({count},) bool, not {array.shape} {array.dtype}")
    return array


def _int8s(name: str, values: npt.ArrayLike, count: int) -> Ints:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise ValueError(f"{name} must be ({count},) integers, not {array.shape} {array.dtype}")
    if array.size and (array.min() < -128 or array.max() > 127):
        raise ValueError(f"{name} must be within int8, not {array.min()} to {array.max()}")
    return array.astype(np.int64)
