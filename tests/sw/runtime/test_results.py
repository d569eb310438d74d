from types import SimpleNamespace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.block.head import HOST_LOGITS, HOST_RESULT
from ouroboros.sw.program.packets import data_packets
from ouroboros.sw.program.vectors import pack_vector
from ouroboros.sw.runtime.results import Results

TINY = load_machine("tiny")
LOGITS = np.arange(-20, 7, dtype=np.int32)       # 24 and 3 of two cores: 6 flits and one
BEST = 26
SLICES = (((1, 1), 0, 24), ((2, 1), 24, 3))


def results():
    return Results(SimpleNamespace(machine=TINY, vocab_size=len(LOGITS), logit_slices=SLICES))


def packets(flags, operand, values, offset=0, position=9):
    return data_packets(pack_vector(values, 32, 128), src=(1, 1), dst=TINY.host, stage=0,
                        operand=operand, sequence=3, position=position, offset=offset,
                        flags=int(flags))


def parts(flags=Flag.STREAM):
    return [packet for _, first, count in SLICES
            for packet in packets(flags, HOST_LOGITS, LOGITS[first:first + count], first // 4)]


def best(flags=Flag.STREAM, position=9):
    [packet] = packets(flags, HOST_RESULT, [16, BEST], position=position)
    return packet


@pytest.mark.parametrize("turn", range(3))
def test_complete_with_the_last_packet(turn):
    """In whatever order they come."""
    came = [*parts(), best()]
    came = came[turn:] + came[:turn]
    assert len(came) == 3 and all(packet.payload for packet in came)
    taker = results()
    assert [taker.take(packet) for packet in came[:-1]] == [None] * 2 and not taker.empty
    result = taker.take(came[-1])
    assert (result.sequence, result.position, result.best, result.flags) == (3, 9, BEST,
                                                                              Flag.STREAM)
    assert np.array_equal(result.logits, LOGITS) and taker.empty


@pytest.mark.parametrize("flags", [0, Flag.QUIET, Flag.STREAM | Flag.POISON,
                                   Flag.STREAM | Flag.FREE])
def test_tokens_without_logits(flags):
    result = results().take(best(flags))
    assert result.logits is None and result.flags == flags


def test_tokens_are_kept_apart():
    taker = results()
    assert taker.take(best()) is None
    assert taker.take(best(0, position=10)).position == 10
    first, second = parts()
    assert taker.take(second) is None
    assert taker.take(first).position == 9


@pytest.mark.parametrize(("before", "packet", "message"), [
    (parts()[:1], parts()[0], r"logits of \(3, 9\) must come once"),
    ([best()], best(), r"operand \d of \(3, 9\) must be a result, once"),
    ([], packets(0, 3, [1])[0], r"operand 3 of \(3, 9\) must be a result, once"),
])
def test_refusals(before, packet, message):
    taker = results()
    for one in before:
        taker.take(one)
    with pytest.raises(ValueError, match=f"^{message}$"):
        taker.take(packet)
