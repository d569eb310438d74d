from dataclasses import replace

import pytest

from ouroboros.hw.params.pim import RANK, PimParams
from ouroboros.hw.params.timing.pim import activate_span, efficiency
from ouroboros.sw.golden.operands import RangeError
from ouroboros.sw.golden.pim import key_places, value_places


@pytest.mark.parametrize("changes, message", [
    ({"chips": 4, "head_chips": 8}, "head_chips must divide chips = 4, not 8"),
    ({"head_dim": 96}, "head_dim must be a power of two, not 96"),
    ({"head_dim": 1024}, "head_dim must be between 8 and 512, not 1024"),
    ({"head_chips": 8, "head_dim": 32}, (
        "head_dim must fill whole columns of 8 chips: a multiple of 64, not 32")),
    ({"context": 1000}, "context must be a multiple of banks = 16, not 1000"),
    ({"banks": 4}, "banks must be between 8 and 32, not 4"),
    ({"banks": 8, "groups": 8}, "banks must be at least 2 a group, not 8 in 8"),
    ({"weight_depth": 1}, "weight_depth must be between 2 and 64, not 1"),
    ({"result_depth": 6}, "result_depth must be a power of two, not 6"),
    ({"columns": 2}, "columns of a row must hold whole queries of 4 x 1 columns, not 2"),
    ({"refresh_batch": 9}, "refresh_batch must be between 1 and 8, not 9"),
])
def test_organisations_that_cannot_exist_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        replace(RANK, **changes)


@pytest.mark.parametrize("head_chips, queries", [(1, 8), (2, 1), (4, 1), (8, 2)])
def test_every_column_of_a_token_has_a_place_of_its_own(head_chips, queries):
    """K, and V, of all tokens fill rows from the first column on, without a hole."""
    pim = PimParams(head_chips=head_chips, queries=queries)
    tokens = 1024
    for places, rows in ((key_places, pim.key_rows(tokens)),
                         (value_places, pim.value_rows(tokens))):
        found = {(place.bank, place.row, place.column)
                 for token in range(tokens) for place in places(pim, 0, token)}
        assert len(found) == tokens * pim.token_columns
        assert {bank for bank, _, _ in found} == set(range(pim.banks))
        assert max(row for _, row, _ in found) == rows - 1
        per_bank = tokens * pim.token_columns // pim.banks
        assert {row * pim.columns + column for _, row, column in found} == set(range(per_bank))


def test_a_row_beyond_the_last_is_refused():
    with pytest.raises(RangeError, match=r"^row must be below 64, not 64: the rank is too small"):
        key_places(RANK, 63, RANK.columns // RANK.token_columns * RANK.banks)


def test_efficiencies_of_the_formula():
    """As an independent command-by-command schedule has them (docs/tier-rtl.md)."""
    assert activate_span(RANK) == 114
    assert efficiency(RANK) == pytest.approx(0.825, abs=0.0005)
    assert efficiency(RANK, staggered=True) == pytest.approx(0.904, abs=0.0005)
    batch = replace(RANK, refresh_batch=8)
    assert efficiency(batch, staggered=True) == pytest.approx(0.911, abs=0.0005)
