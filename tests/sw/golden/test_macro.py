import numpy as np
import pytest

from ouroboros.hw.params.cim import CimParams
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.macro import Macro, valid_groups
from ouroboros.sw.golden.tree import tree_sum

TINY = load_machine("tiny")
ALL = np.ones(TINY.cim.outputs, np.bool_)
EVERY = {"bank": 0, "first_group": 0, "operand_group": 0, "groups": TINY.cim.groups, "first": True,
         "last": True, "columns": ALL}


def loaded(seed):
    rng = np.random.default_rng(seed)
    macro = Macro(TINY)
    weights = rng.integers(-128, 128, (TINY.cim.rows, TINY.cim.outputs))
    operands = rng.integers(-128, 128, TINY.cim.rows)
    for row, data in enumerate(weights):
        macro.write(row, ALL, data)
    for index, data in enumerate(operands.reshape(-1, macro.word_bytes)):
        macro.load(0, index, data, np.ones(macro.word_bytes, np.bool_))
    return macro, weights, operands


def test_whole_product():
    macro, weights, operands = loaded(1)
    result = macro.command(**EVERY)
    assert result.sums.tolist() == (operands @ weights).tolist()
    assert result.valid.all()
    assert macro.command_cycles(0, 0, TINY.cim.groups) == TINY.cim.mvm_cycles == 64


def test_invalid_rows_count_as_zero_and_invalid_groups_cost_nothing():
    macro, weights, operands = loaded(2)
    mask = np.zeros(macro.word_bytes, np.bool_)
    mask[3] = True
    macro.load(0, 1, operands[16:32], mask)
    result = macro.command(**EVERY)
    kept = operands.copy()
    kept[16:32] = np.where(mask, kept[16:32], 0)
    assert result.sums.tolist() == (kept @ weights).tolist()
    assert valid_groups(TINY.cim, macro.valid[0], 0, 8) == [0, 1, 2, 4, 5, 6, 7]
    assert macro.command_cycles(0, 0, 8) == 56
    assert macro.command_cycles(0, 3, 1) == 1


def test_parts_accumulate_to_the_whole():
    macro, weights, operands = loaded(3)
    for group in range(TINY.cim.groups):
        result = macro.command(**{**EVERY, "first_group": group, "operand_group": group,
                                  "groups": 1, "first": group == 0, "last": group == 7})
    assert result.sums.tolist() == (operands @ weights).tolist()
    assert macro.command(**{**EVERY, "groups": 0, "first": False}).sums.tolist() == (
        operands @ weights).tolist()


def test_clear_write_mask_and_columns():
    macro, weights, operands = loaded(4)
    columns = np.arange(16) % 3 == 0
    macro.write(5, columns, np.full(16, -128))
    weights[5] = np.where(columns, -128, weights[5])
    result = macro.command(**{**EVERY, "columns": columns})
    assert result.sums.tolist() == np.where(columns, operands @ weights, 0).tolist()
    assert result.valid.tolist() == columns.tolist()
    macro.clear(0)
    assert not macro.command(**EVERY).sums.any()


@pytest.mark.parametrize(("call", "message"), [
    (lambda m: m.write(64, ALL, np.zeros(16, int)), "row must be between 0 and 63, not 64"),
    (lambda m: m.write(0, ALL, np.full(16, 128)), "data must be within int8, not 128 to 128"),
    (lambda m: m.write(0, ALL[:3], np.zeros(16, int)),
     r"mask must be \(16,\) bool, not \(3,\) bool"),
    (lambda m: m.load(2, 0, np.zeros(16, int), ALL), "bank must be between 0 and 1, not 2"),
    (lambda m: m.command(**{**EVERY, "groups": 9}), "groups must be between 0 and 8, not 9"),
])
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(Macro(TINY))


def test_command_cycles_formula():
    params = CimParams(rows=1024, outputs=128, active_rows=32)
    assert [params.command_cycles(groups) for groups in (0, 1, 32)] == [1, 8, 256]


def test_tree_sum_wraps_and_checks():
    leaves = np.array([[2**31 - 1, 4], [1, 5], [7, 7]])
    assert tree_sum(leaves, np.array([True, True, False])).tolist() == [-2**31, 9]
    assert tree_sum(leaves, np.zeros(3, np.bool_)).tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"mask must be \(3,\) bool, not \(2,\) bool"):
        tree_sum(leaves, np.ones(2, np.bool_))
