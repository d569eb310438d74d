from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Kind, Unit
from ouroboros.sw.program.packets import (
    Flit,
    credit_packet,
    data_packets,
    entry_flits,
    packets_of,
    read_packet,
    reply_packet,
    write_packets,
)
from ouroboros.sw.program.vectors import join_flits

TINY = load_machine("tiny")
DIE = load_machine("die")
ENDS = {"src": (0, 1), "dst": (2, 1)}
TOKEN = {"sequence": 3, "position": 9, "stage": 2, "operand": 1}


def test_data_is_cut_after_eight_flits():
    packets = data_packets([*range(19)], **ENDS, **TOKEN, offset=100, flags=5)
    assert [len(p.payload) for p in packets] == [8, 8, 3]
    assert [p.header["offset"] for p in packets] == [100, 108, 116]
    assert [p.header["length"] for p in packets] == [8, 8, 3]
    assert sum((p.payload for p in packets), ()) == tuple(range(19))


def test_writes_hold_whole_entries():
    assert [entry_flits(DIE, unit) for unit in (Unit.WEIGHT + 31, Unit.PARAM, Unit.STEP)] == [
        4, 1, 1]
    rows = [row << 1000 for row in range(5)]
    packets = write_packets(DIE, rows, **ENDS, unit=Unit.WEIGHT, address=7)
    assert [(p.header["address"], p.header["length"]) for p in packets] == [(7, 8), (9, 8), (11, 4)]
    assert join_flits(packets[0].payload[4:], DIE.noc.flit_bits) == rows[1]
    with pytest.raises(ValueError, match=r"^entry must fit 128 bits, not \d+$"):
        write_packets(TINY, [1 << 128], **ENDS, unit=Unit.STEP)
    wide = replace(TINY, cim=replace(TINY.cim, outputs=256))
    with pytest.raises(ValueError, match=r"^entry must be at most 8 flits, not 16$"):
        write_packets(wide, [0], **ENDS, unit=Unit.WEIGHT)


def test_control_packets_take_the_last_channel():
    packets = [*write_packets(TINY, [1], **ENDS, unit=Unit.STEP),
               read_packet(TINY, **ENDS, unit=Unit.TRACE, count=2),
               reply_packet(TINY, 77, **ENDS, unit=Unit.TRACE, address=1),
               credit_packet(TINY, **ENDS, counter=4)]
    assert [(p.header["kind"], p.header["vc"]) for p in packets] == [
        (kind, 1) for kind in (Kind.WRITE, Kind.READ, Kind.REPLY, Kind.CREDIT)]


def test_packets_of_mixed_channels():
    first, = data_packets([1, 2], **ENDS, **TOKEN)
    second = credit_packet(TINY, **ENDS, counter=4)
    flits = first.flits()
    assert [*packets_of([flits[0], *second.flits(), *flits[1:]])] == [second, first]


@pytest.mark.parametrize("flits, message", [
    ([Flit(1, 0, False, True)], "head must be True for .*"),
    ([Flit(1, 0, True, False)] * 2, "head must be False for .*"),
    ([Flit(1, 0, True, False)], "every packet must have a tail, not .*"),
])
def test_torn_packets_refused(flits, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        [*packets_of(flits)]


def test_header_values_that_do_not_fit():
    with pytest.raises(ValueError, match=r"^counter must fit 5 bits, not 32$"):
        credit_packet(TINY, **ENDS, counter=32)
