import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import FAULT_ENTRY, Port
from ouroboros.sw.runtime.faults.fault import (
    Fault,
    FaultError,
    Hurts,
    every_fault,
    hurtable,
    parse_fault,
    random_faults,
)

NOTHING_THERE = ("must be of a link inside the 7 x 6 mesh of machine 'small', and nothing lies "
                 "beyond that port")
SMALL = hurtable(load_machine("small"))


@pytest.mark.parametrize("text", [
    "core:3,2@12000", "router:7,6@0", "link:3,2:east@5", "flip:3,2:north:127@9",
    "upset:1,1:south:0@9"])
def test_texts(text):
    fault = parse_fault(text)
    fault.check(SMALL)
    assert str(fault) == text


def test_a_bit_is_0_unless_it_is_said():
    assert parse_fault("flip:3,2:west@4") == Fault(
        kind="flip", core=(3, 2), port=Port.WEST, bit=0, cycle=4)


@pytest.mark.parametrize("text", [
    "", "core:3,2", "core:3@1", "core:3,2:east@1", "link:3,2@1", "link:3,2:up@1", "word:3,2@1",
    "flip:3,2:east:x@1", "link:3,2:east:4@1", "core:3,2@1@2"])
def test_other_texts_are_refused(text):
    with pytest.raises(FaultError, match=r"^fault must be core:X,Y@CYCLE"):
        parse_fault(text)


@pytest.mark.parametrize("text, why", [
    ("core:8,2@1", "must be of a core of the 7 x 6 mesh of machine 'small', not of (8, 2)"),
    ("core:0,1@1", "must be of a core of the 7 x 6 mesh of machine 'small', not of (0, 1)"),
    ("router:1,1@1", "must leave the host its port, and this is the router beside it"),
    ("link:1,1:west@1", "must leave the host its own port"),
    ("flip:1,1:west:3@1", "must leave the host its own port"),
    ("link:1,1:north@1", NOTHING_THERE),
    ("flip:2,2:east:128@1", "bit must be 0 to 127, not 128"),
    ("core:2,2@-1", "cycle must be at least 0, not -1")])
def test_what_is_not_there_is_refused(text, why):
    with pytest.raises(FaultError) as error:
        Hurts(SMALL, [parse_fault(text)])
    assert str(error.value) == f"fault {parse_fault(text)}: {why}"


def test_a_machine_that_cannot_be_hurt_is_refused():
    with pytest.raises(FaultError, match=r"'small' must have noc\.faults = true"):
        Hurts(load_machine("small"), [parse_fault("core:1,1@0")])


def test_every_fault():
    assert len(every_fault(SMALL, "core", 5)) == 42
    assert len(every_fault(SMALL, "router", 5)) == 41
    assert len(every_fault(SMALL, "link", 5)) == 6 * 6 + 7 * 5


def test_random_faults_differ_by_their_seed_alone():
    draw = [random_faults(SMALL, 2, seed=seed, first=10, last=20) for seed in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]
    assert all(10 <= fault.cycle <= 20 for faults in draw for fault in faults)
    with pytest.raises(FaultError, match="random faults must be 0 to 113"):
        random_faults(SMALL, 114, seed=0, first=0, last=0)


def entries(packets):
    return [((packet.header["dst_x"], packet.header["dst_y"]),
             FAULT_ENTRY.unpack(packet.payload[0])) for packet in packets]


def test_faults_of_a_tile_add_up():
    hurts = Hurts(SMALL, [parse_fault(text) for text in (
        "link:3,2:east@9", "core:3,2@4", "link:4,2:south@6", "upset:5,5:north:3@7")])
    assert hurts.due(3) == []
    assert entries(hurts.due(5)) == [((3, 2), {"stuck": 16, "flip": 0, "bit": 0, "once": 0})]
    assert hurts.next_cycle == 6
    # The core at 3,2 hears nothing any more: the link is cut at its other end.
    assert entries(hurts.due(9)) == [
        ((4, 2), {"stuck": 4 | 8, "flip": 0, "bit": 0, "once": 0}),
        ((5, 5), {"stuck": 0, "flip": 1, "bit": 3, "once": 1})]
    assert hurts.next_cycle is None
    assert [entry["flip"] for _, entry in entries(hurts.again())] == [0, 0, 0]
