import asyncio
import random

import pytest

from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import DEST_ENTRY, LABEL_ENTRY, STAGE_ENTRY, Flag, Kind, Port, Unit
from ouroboros.sw.golden.core import CoreError
from ouroboros.sw.golden.machine import GoldenLink, GoldenMachine
from ouroboros.sw.noc.routes.xy import tree
from ouroboros.sw.program.packets import credit_packet, data_packets, write_packets

TINY = load_machine("tiny")
HOST = TINY.host
A, TARGETS = (2, 2), [(1, 1), (2, 2), (4, 3), (3, 2)]


def zeros(fmt, **fields):
    return fmt.pack({**dict.fromkeys((f.name for f in fmt.fields), 0), **fields})


def write(golden, core, unit, values, address=0):
    for packet in write_packets(TINY, values, src=HOST, dst=core, unit=unit, address=address):
        golden.send(packet)


def relay(disorder=None):
    """Core A passes every token on to the targets; they tell the host."""
    golden = GoldenMachine(TINY)
    for core, ports in tree(A, TARGETS, TINY.mesh).items():
        write(golden, core, Unit.LABEL, [zeros(LABEL_ENTRY, ports=ports)], address=5)
    for core in TARGETS:
        write(golden, core, Unit.PROGRAM, [assemble(Op.WAIT, packets=1),
                                           assemble(Op.SEND, dest=0, flits=1), assemble(Op.END)])
        write(golden, core, Unit.STAGE, [zeros(STAGE_ENTRY, slot_count=4, stride=1)])
        write(golden, core, Unit.DEST, [zeros(DEST_ENTRY, x=HOST[0], y=HOST[1])])
    write(golden, A, Unit.PROGRAM, [assemble(Op.SEND, dest=1, flits=1), assemble(Op.END)],
          address=8)
    write(golden, A, Unit.STAGE, [zeros(STAGE_ENTRY, slot_first=4, slot_count=4, base=8, stride=1,
                                        program=8)], address=1)
    write(golden, A, Unit.DEST, [zeros(DEST_ENTRY, x=1, y=1, label=5)], address=1)
    golden.disorder = disorder
    return golden


def token(n):
    [packet] = data_packets([n], src=HOST, dst=A, stage=1, operand=0, sequence=n, position=3,
                            flags=int(Flag.STREAM))
    return packet


def told(golden):
    return [((p.header["src_x"], p.header["src_y"]), p.header["sequence"], p.payload)
            for p in golden.to_host]


def test_a_multicast_by_a_dead_port_is_refused():
    """Routers' copies go by XY trees; the golden machine has been told of dead ports by then."""
    golden = relay()
    write(golden, A, Unit.ROUTER, [1 << Port.WEST])
    with pytest.raises(CoreError, match=r"^label 5 must lead by no dead port of router \(2, 2\)$"):
        golden.send(token(0))
        golden.settle()


def test_multicast():
    golden = relay()
    for n in range(3):
        golden.send(token(n))
    assert sorted(told(golden)) == sorted((core, n, (n,)) for core in TARGETS for n in range(3))
    assert not golden.advance()


@pytest.mark.parametrize("seed", range(5))
def test_disorder(seed):
    """Everything arrives, in some order; of the tokens of one core in theirs."""
    golden = relay(random.Random(seed))
    for n in range(3):
        golden.send(token(n))
    golden.settle()
    assert sorted(told(golden)) == sorted((core, n, (n,)) for core in TARGETS for n in range(3))
    for core in TARGETS:
        assert [n for place, n, _ in told(golden) if place == core] == [0, 1, 2]


def test_disorder_comes_from_the_generator_alone():
    orders = []
    for seed in (1, 1, 2):
        golden = relay(random.Random(seed))
        for n in range(3):
            golden.send(token(n))
        golden.settle()
        orders.append(told(golden))
    assert orders[0] == orders[1] != orders[2]


def test_a_packet_to_nowhere():
    with pytest.raises(CoreError) as error:
        GoldenMachine(TINY).send(credit_packet(TINY, src=HOST, dst=(5, 1), counter=0))
    assert str(error.value) == "packet to (5, 1) must name a core, a pool or the host's port"


@pytest.mark.parametrize("disorder", [None, random.Random(1)])
def test_link(disorder):
    """Packets to the host come one by one; a machine at rest says so."""
    link = GoldenLink(TINY, disorder=disorder)
    link.golden = relay(disorder)

    async def talk():
        await link.send([token(1)])
        packets = [await link.recv() for _ in TARGETS]
        assert {p.header["kind"] for p in packets} == {Kind.DATA}
        await link.recv()

    with pytest.raises(CoreError) as error:
        asyncio.run(talk())
    assert str(error.value) == "the machine is idle and has sent nothing to the host"
    assert link.cycles is None
