from decimal import Decimal, localcontext

import pytest

from ouroboros.hw.params import tables
from ouroboros.hw.params.isa import Fn, MMode, Track
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.sfu import reads_c, sfu_beats, sfu_cycles, sfu_occupancy, writes_c


def nearest(value):
    return int(value.to_integral_value("ROUND_HALF_UP"))


@pytest.mark.parametrize(("table", "first", "formula"), [
    (tables.RSQRT, 64, lambda n: 65535 / ((n + Decimal("0.5")) / 64).sqrt()),
    (tables.EXP[:255], 0, lambda n: 127 * Decimal(2) ** (-n / Decimal(16))),
    (tables.RECIP, 0, lambda n: 65535 / (1 + (n + Decimal("0.5")) / 256)),
], ids=["rsqrt", "exp", "recip"])
def test_entries_are_the_nearest_integers(table, first, formula):
    with localcontext() as context:
        context.prec = 40
        assert list(table) == [nearest(formula(n)) for n in range(first, first + len(table))]


def test_sizes_and_ends():
    assert (len(tables.RSQRT), len(tables.EXP), len(tables.RECIP)) == (192, 256, 256)
    assert tables.RSQRT[0] == 65280 and tables.RECIP[0] == 65407
    assert tables.EXP[0] == 127 and tables.EXP[127] == 1 and set(tables.EXP[128:]) == {0}


def test_sfu_cycles():
    tiny = load_machine("tiny")
    assert [sfu_beats(tiny, n) for n in (0, 1, 4, 5)] == [1, 1, 1, 2]
    assert sfu_cycles(tiny, Fn.MAC, 8) == 8
    assert sfu_cycles(tiny, Fn.MAC, 9, m_mode=MMode.SCALAR) == 10
    assert sfu_cycles(tiny, Fn.MAC, 4, track=Track.SUMSQ) == 9
    assert sfu_cycles(tiny, Fn.EXP, 0) == 10
    assert sfu_cycles(tiny, Fn.RSQRT, 99, track=Track.MAX) == 7
    assert sfu_cycles(tiny, Fn.EXPONENT, 99, less=1, digits=1) == 7
    assert sfu_cycles(tiny, Fn.MAC, 8, less=1) == 9
    assert [sfu_cycles(tiny, Fn.MAC, n, digits=1) for n in (0, 4, 16, 17)] == [7, 8, 11, 13]
    assert sfu_cycles(tiny, Fn.EXP, 17, digits=1) == 6 + 6 + 1 + 2
    assert [sfu_occupancy(tiny, Fn.MAC, n, digits=1) for n in (0, 4, 16, 17)] == [2, 2, 5, 7]
    assert sfu_occupancy(tiny, Fn.MAC, 8) == 3
    assert sfu_occupancy(tiny, Fn.EXP, 8) == 5
    assert sfu_occupancy(tiny, Fn.RECIP, 8) == 2


def test_use_of_word_c():
    assert reads_c(Fn.EXP, MMode.FIXED) and reads_c(Fn.MAC, MMode.SCALAR)
    assert not reads_c(Fn.MAC, MMode.PARAM)
    assert writes_c(Fn.EXP, Track.NONE) and writes_c(Fn.MAC, Track.MAX)
    assert not writes_c(Fn.RECIP, Track.MAX) and not writes_c(Fn.SILU, Track.NONE)
