"""Two logs of packets, held against each other."""

import pytest

from ouroboros.sw.program.packets import data_packets
from ouroboros.sw.runtime.difference import Difference, Sent, first_difference


def sent(*payload, src=(1, 1), dst=(2, 1), position=0, offset=0, stage=1, flags=0, cycles=()):
    [packet] = data_packets(payload, src=src, dst=dst, stage=stage, operand=0, sequence=0,
                            position=position, offset=offset, flags=flags)
    return Sent(packet, cycles=cycles)


ONE, TWO, THREE = sent(1, 2), sent(3, 4, src=(2, 1), dst=(3, 1)), sent(5, position=1)


def test_equal_in_any_order_and_with_more():
    assert first_difference([ONE, TWO, THREE], [THREE, sent(9, offset=8), TWO, ONE]) is None
    assert first_difference([], [ONE]) is None


def test_the_first_in_the_order_of_the_reference():
    wrong, late = sent(3, 5, src=(2, 1), dst=(3, 1), cycles=(7, 8, 9)), sent(6, position=1)
    found = first_difference([ONE, TWO, THREE], [late, ONE, wrong])
    assert found == Difference(TWO, wrong, 1) and found.core == (2, 1)


@pytest.mark.parametrize(("other", "flit"), [
    (sent(0, 2), 0), (sent(1, 3), 1), (sent(1), 1), (sent(1, 2, 3), 2),
    (sent(1, 2, flags=2), None)])
def test_what_differs(other, flit):
    assert first_difference([ONE], [other]) == Difference(ONE, other, flit)


def test_what_means_nothing_may_differ():
    """A control token sends what lay in the buffer."""
    junk = Sent(ONE.packet, junk=frozenset({0}))
    assert first_difference([junk], [sent(9, 2)]) is None
    assert first_difference([junk], [sent(9, 3)]) == Difference(junk, sent(9, 3), 1)
    assert first_difference([junk], [sent(9)]) == Difference(junk, sent(9), 1)


@pytest.mark.parametrize("other", [
    sent(1, 2, position=1), sent(1, 2, src=(1, 2)), sent(1, 2, dst=(2, 2)), sent(1, 2, offset=8),
    sent(1, 2, stage=2)])
def test_a_packet_that_was_never_sent(other):
    assert first_difference([ONE], [other]) == Difference(ONE, None, None)


def test_the_same_token_again_is_another():
    """A sequence id is used again, or a token is sent again: in the order of each sender."""
    again = sent(7, 2)
    assert first_difference([ONE, again], [ONE, again]) is None
    assert first_difference([ONE, again], [ONE, ONE]) == Difference(again, ONE, 0)
    assert first_difference([ONE, again], [ONE]) == Difference(again, None, None)
