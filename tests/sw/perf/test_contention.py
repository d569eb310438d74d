"""Vectors that meet: cases worked by hand."""

import pytest

from ouroboros.hw.params.packet import Port
from ouroboros.sw.perf.contention import Flow, delays


def row(x, first=0, flits=600):
    """From the core at (x, 1) westwards out of the mesh."""
    return Flow(first, flits, tuple(((at, 1), Port.WEST) for at in range(x, 0, -1)))


def test_alone_or_one_after_the_other():
    assert delays([row(3)]) == [0]
    assert delays([row(1), row(2, first=600)]) == [0, 0]
    assert delays([]) == []


def test_two_share_evenly():
    """Both have half of the link; the second, which starts later, runs alone at the end."""
    assert delays([row(1), row(2)]) == [600, 600]
    assert delays([row(1), row(2, first=100)]) == [500, 500]


def test_who_joins_late_has_more():
    """The first has a half, the others a quarter each: half is left after 1,200 cycles, and
    then each has a half."""
    assert delays([row(1), row(2), row(3)]) == [600, 1200, 1200]
    assert delays([row(n) for n in range(1, 6)]) == [600, 1200, 1800, 2400, 2400]


def test_branches_share_by_inputs_not_by_flows():
    """Two from the south together have what one from the east has."""
    def south(y):
        return Flow(0, 300, (*(((1, at), Port.NORTH) for at in range(y, 1, -1)),
                             ((1, 1), Port.WEST)))

    assert delays([row(2, flits=300), south(2), south(3)]) == [300, 600, 600]


def test_one_end():
    with pytest.raises(ValueError, match="flows must end at one link"):
        delays([row(1), Flow(0, 1, (((1, 1), Port.LOCAL),))])
