import random
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.isa import Fn, Op, Type, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import (
    CREDIT_ENTRY,
    DEST_ENTRY,
    KV_CONFIG,
    STAGE_ENTRY,
    Flag,
    Kind,
    Unit,
)
from ouroboros.sw.golden.core import CoreError, GoldenCore
from ouroboros.sw.program.packets import (
    Packet,
    credit_packet,
    data_packets,
    read_packet,
    write_packets,
)
from ouroboros.sw.program.vectors import pack_vector, unpack_vector

TINY = load_machine("tiny")
MACHINE = replace(TINY, core=replace(TINY.core, slots=4))
HERE, THERE, HOST = (2, 1), (3, 2), (0, 1)
FREE = int(Flag.FREE)
END = assemble(Op.END)


def zeros(fmt, **fields):
    return fmt.pack({**dict.fromkeys((f.name for f in fmt.fields), 0), **fields})


class Bench:
    """A golden core with one stage of two slots, and what it sends."""

    def __init__(self, program, *, slots=2, stride=64, machine=MACHINE):
        self.machine, self.sent = machine, []
        self.core = GoldenCore(machine, HERE, self.sent.append)
        # A WAIT for nothing takes over the flags of what has come.
        self.write(Unit.PROGRAM, [assemble(Op.WAIT), *program, END])
        self.write(Unit.STAGE, [zeros(STAGE_ENTRY, slot_count=slots, stride=stride, base=8,
                                      credit_count=1)])
        self.write(Unit.CREDIT_LIST, [zeros(CREDIT_ENTRY, x=7, y=3, counter=2)])
        self.write(Unit.DEST, [zeros(DEST_ENTRY, x=3, y=2, stage=1, operand=2, credits=0b11)])

    def write(self, unit, values, address=0):
        for packet in write_packets(self.machine, values, src=HOST, dst=HERE, unit=unit,
                                    address=address):
            self.core.receive(packet)

    def kv(self, **fields):
        self.write(Unit.KV, [zeros(KV_CONFIG, **{
            "k_macros": 0b0011, "v_macros": 0b1100, "k_groups": 1, "k_blocks": 8, "v_slots": 2,
            "head_dim": 8, "heads": 2, "members": 1, **fields})])

    def token(self, *vectors, sequence=0, position=0, flags=0, operand=0, run=True):
        """Send int8 vectors to consecutive words; returns what the core sent meanwhile."""
        start = len(self.sent)
        for n, vector in enumerate(vectors or [[0]]):
            for packet in data_packets(pack_vector(vector, 8, 128), src=HOST, dst=HERE, stage=0,
                                       operand=operand, sequence=sequence, position=position,
                                       flags=flags, offset=n):
                self.core.receive(packet)
        if run:
            self.core.run()
        return self.sent[start:]

    def words(self, slot, word, count, kind=Type.I32):
        """Elements of a slot's buffer."""
        raw = self.core.buffer[(8 + 64 * slot + word) * 16:]
        return raw[:count * kind.bytes].view(f"<i{kind.bytes}")


def take(d=8, count=8, **fields):
    return assemble(Op.SFU, fn=Fn.MAC, a_array=1, d_addr=d, d_type=Type.I32, length=count,
                    m_mode=3, **fields)


def test_data_finds_its_slot():
    """By name; payload and flags go to the slot, packets are counted by operand."""
    bench = Bench([assemble(Op.WAIT, operand=3, packets=1)])
    bench.token([1, 2], [3], sequence=5, position=6, flags=4)
    bench.token([4], sequence=5, position=7)
    bench.token([7], sequence=5, position=6, operand=1, flags=8)
    first, second = bench.core.slots.values()
    assert (first.sequence, first.position, first.coming, first.counts) == (5, 6, 12, [2, 1, 0, 0])
    assert (second.position, second.coming, second.counts) == (7, 0, [1, 0, 0, 0])
    assert (first.flags, second.flags) == (4, 0)    # those of packets count from the next WAIT
    assert [*bench.words(0, 0, 2, Type.I8)] == [7, 0] and bench.words(0, 1, 1, Type.I8) == [3]
    assert bench.words(1, 0, 1, Type.I8) == [4]


def test_a_full_stage_is_an_error():
    bench = Bench([assemble(Op.WAIT, packets=9)])
    for n in range(2):
        bench.token([0], sequence=n)
    with pytest.raises(CoreError) as error:
        bench.token([0], sequence=2, position=5)
    assert str(error.value) == ("core (2, 1): stage 0 has no free slot for sequence 2, position 5: "
                                "a sender broke its credits")


def test_entries_that_were_never_written_are_errors():
    bench = Bench([assemble(Op.SEND, dest=3, flits=1)])
    with pytest.raises(CoreError) as error:
        bench.token([0])
    assert str(error.value) == "core (2, 1): DEST entry 3 was never written"


def test_other_packets_are_errors():
    bench = Bench([])
    with pytest.raises(CoreError) as error:
        bench.core.receive(read_packet(MACHINE, src=HOST, dst=HERE, unit=Unit.COUNTER))
    assert str(error.value) == "core (2, 1): packet kind must not be 3 here"


def test_end_credits_and_frees():
    bench = Bench([])
    assert bench.token([0]) == [credit_packet(MACHINE, src=HERE, dst=(7, 3), counter=2)]
    assert not bench.core.slots


def test_wait_counts_packets_of_its_operand():
    bench = Bench([assemble(Op.WAIT, operand=1, packets=2)])
    assert not bench.token([0]) and not bench.token([0], operand=1)
    assert not bench.token([0], operand=2)
    assert bench.token([0], operand=1)


def test_send():
    """Packets of eight flits, with the token's name and flags; credits are taken by acquire."""
    bench = Bench([assemble(Op.SEND, dest=0, src=1, flits=9, dst=40, acquire=1),
                   assemble(Op.SEND, dest=0, src=0, flits=1, dst=3)])
    rows = [[10 * n + k for k in range(9)] for n in range(10)]
    assert bench.token(*rows, sequence=3, position=9, flags=8) == []
    for counter, there in ((0, False), (0, False), (1, True)):
        bench.core.receive(credit_packet(MACHINE, src=THERE, dst=HERE, counter=counter))
        bench.core.run()
        assert bool(bench.sent) == there
    data = [p for p in bench.sent if p.header["kind"] == Kind.DATA]
    assert [(p.header["length"], p.header["offset"]) for p in data] == [(8, 40), (1, 48), (1, 3)]
    assert {(p.header["dst_x"], p.header["dst_y"], p.header["stage"], p.header["operand"],
             p.header["sequence"], p.header["position"], p.header["flags"]) for p in data} == {
        (3, 2, 1, 2, 3, 9, 8)}
    assert [*unpack_vector(data[1].payload, 8, 9, 128)] == rows[9]
    assert bench.core.credits[:2] == [1, 0]


@pytest.mark.parametrize(("flags", "executed"), [(0, [0]), (1, [1]), (3, []), (8, [0])])
def test_skip_and_need(flags, executed):
    bench = Bench([assemble(Op.SEND, dest=1, flits=1, dst=0, skip=3),
                   assemble(Op.SEND, dest=1, flits=1, dst=1, need=1, skip=2)])
    bench.write(Unit.DEST, [zeros(DEST_ENTRY, x=3, y=2)], address=1)
    sent = bench.token([0], flags=flags)
    assert [p.header["offset"] for p in sent if p.header["kind"] == Kind.DATA] == executed


def test_multiply():
    """Two column tiles of two row tiles each, from row group 2 on."""
    bench = Bench([assemble(Op.LOAD, src=0, length=16, macros=0b0101),
                   assemble(Op.LOAD, src=1, length=16, macros=0b1010),
                   assemble(Op.MVM, first_group=2, step=3, steps=2, macros=0b1111),
                   take(count=32, release=1)])
    rng = np.random.default_rng(1)
    weights = rng.integers(-128, 128, (4, 16, 16))
    for macro in range(4):
        bench.write(Unit.WEIGHT + macro, [
            int.from_bytes(row.astype(np.int8).tobytes(), "little") for row in weights[macro]],
            address=16)
    bench.write(Unit.STEP, [0b0011, 0b1100], address=3)
    x, y = rng.integers(-128, 128, (2, 16))
    bench.token(x, y)
    expected = np.concatenate([x @ weights[0] + y @ weights[1], x @ weights[2] + y @ weights[3]])
    assert np.array_equal(bench.words(0, 8, 32), expected)


def test_sums_belong_to_the_slot_that_made_them():
    bench = Bench([assemble(Op.LOAD, length=16, macros=1, skip=FREE),
                   assemble(Op.MVM, steps=1, macros=1, skip=FREE), take()])
    bench.write(Unit.STEP, [1])
    bench.token([1], flags=0)
    bench.core._sums = 1, *bench.core._sums[1:]
    with pytest.raises(CoreError) as error:
        bench.token([1], sequence=1, flags=FREE)
    assert str(error.value) == "core (2, 1): slot 0 takes the sums of slot 1"


def test_too_few_sums_are_an_error():
    bench = Bench([assemble(Op.LOAD, length=16, macros=1),
                   assemble(Op.MVM, steps=1, macros=1), take(count=20)])
    bench.write(Unit.STEP, [1])
    with pytest.raises(CoreError) as error:
        bench.token([1])
    assert str(error.value) == "core (2, 1): the drain stream has 16 elements, not 20"


ATTENTION = [assemble(Op.FREE, need=FREE),
             assemble(Op.APPEND, k=1, v=2, head=1, skip=FREE),
             assemble(Op.SCORE, src=0, head=1, skip=FREE),
             take(d=16, tokens=1, track=2, c_addr=4, skip=FREE, release=1),
             assemble(Op.CONTEXT, src=3, head=1, skip=FREE),
             take(d=12, count=8, skip=FREE, release=1)]


@pytest.mark.parametrize(("members", "member"), [(1, 0), (2, 0), (2, 1)])
def test_attention(members, member):
    """Scores of the local tokens up to the position, and e . V, over three blocks."""
    bench = Bench(ATTENTION)
    bench.kv(members=members, member=member)
    rng = np.random.default_rng(2)
    keys, values = rng.integers(-128, 128, (2, 40, 8))
    for position in range(40):
        q = rng.integers(-128, 128, 8)
        local = [t for t in range(position + 1) if t // 16 % members == member]
        e = np.zeros(64, int)
        e[:len(local)] = rng.integers(0, 128, len(local))
        bench.token(q, keys[position], values[position], e[:16], position=position, run=False)
        # e of further blocks goes past word 3: the slot's words 4, 5 hold it before SCORE.
        base = (8 + 3) * 16
        bench.core.buffer[base:base + 64] = e.astype(np.uint8)
        bench.core.run()
        scores = keys[local] @ q
        assert np.array_equal(bench.words(0, 16, len(local)), scores)
        if len(local) <= 16:     # word 4, the maximum, lies in e of the second block
            assert bench.words(0, 4, 1) == [max(scores, default=-2**31)]
            assert np.array_equal(bench.words(0, 12, 8), e[:len(local)] @ values[local])
    assert bench.core.array.kv.used == (3 if members == 1 else 2 - member)
    bench.token(flags=FREE)
    assert bench.core.array.kv.used == 0


def test_tokens_behind_the_position_are_masked():
    """K and V of later tokens may be there already; those before may be missing."""
    bench = Bench(ATTENTION)
    bench.kv()
    for position in (0, 2):
        bench.token([0], [10 + position], [1], [0], position=position)
    bench.token([1], [11], [1], [1, 1, 1], position=1)
    assert [*bench.words(0, 16, 2)] == [10, 11]
    assert bench.words(0, 12, 1) == [2]
    bench.token([1], [15], [1], [1] * 6, position=5)
    # Positions 3 and 4 never came: no maximum over them, no weight.
    assert [*bench.words(0, 16, 6)][:3] == [10, 11, 12]
    assert bench.words(0, 4, 1) == [15] and bench.words(0, 12, 1) == [4]


def test_a_block_may_be_missing():
    """Behind a token that was refused a later one may have found room: nothing there is valid."""
    bench = Bench(ATTENTION)
    bench.kv()
    bench.token([1], [7], [1], [0], position=3)
    bench.token([1], [-5], [2], [1] * 16, position=33, run=False)
    bench.core.buffer[(8 + 3) * 16:(8 + 6) * 16] = 1
    bench.core.run()
    scores = bench.words(0, 16, 34)
    assert (scores[3], scores[33]) == (7, -5) and bench.words(0, 12, 1) == [1 + 2]
    assert bench.core.array.kv.used == 2


def test_a_full_core_poisons():
    """The token runs through, what it found is as it was; after a FREE there is room again."""
    bench = Bench([assemble(Op.FREE, need=FREE), assemble(Op.APPEND, k=1, v=2, skip=FREE),
                   assemble(Op.SEND, dest=1, flits=1)])
    bench.write(Unit.DEST, [zeros(DEST_ENTRY, x=3, y=2)], address=1)
    bench.kv(k_blocks=1)

    def flags(*where, **options):
        return next(p.header["flags"] for p in bench.token(sequence=where[0], position=where[1],
                                                           **options)
                    if p.header["kind"] == Kind.DATA)

    assert [flags(0, 0), flags(1, 0), flags(0, 15)] == [0, 0, 0]
    assert [flags(0, 16), flags(2, 0)] == [Flag.POISON, Flag.POISON]
    assert bench.core.array.kv.used == 2
    assert flags(1, 1, flags=FREE) == FREE and flags(2, 0) == 0


def test_a_refused_token_stays_poisoned_past_its_next_wait():
    """WAIT adds the flags of what has come to those that the token has."""
    bench = Bench([assemble(Op.APPEND, k=1, v=2), assemble(Op.WAIT, operand=1, packets=1),
                   assemble(Op.SEND, dest=0, flits=1)])
    bench.kv(k_blocks=1)
    for sequence, flags in ((0, 0), (1, 0), (2, Flag.POISON)):
        bench.token(sequence=sequence)
        sent = bench.token(sequence=sequence, operand=1, flags=int(Flag.STREAM))
        assert sent[0].header["flags"] == flags | Flag.STREAM


def test_kv_has_to_be_configured():
    bench = Bench([assemble(Op.APPEND)])
    with pytest.raises(CoreError) as error:
        bench.token([0])
    assert str(error.value) == "core (2, 1): KV was never configured"


# Disorder


def offsets(bench):
    return [(p.header["sequence"], p.header["offset"]) for p in bench.sent
            if p.header["kind"] == Kind.DATA]


def disordered(program, flags, seed):
    """Runs one token for each set of flags; returns (sequence, offset) of what was sent."""
    bench = Bench(program, slots=4, stride=16)
    bench.write(Unit.DEST, [zeros(DEST_ENTRY, x=3, y=2)], address=1)
    bench.write(Unit.STEP, [1])
    for n, value in enumerate(flags):
        bench.token([n], sequence=n, flags=value, run=False)
    rng = random.Random(seed)
    while bench.core.advance(rng):
        pass
    assert not bench.core.slots
    return offsets(bench)


COMPUTE = [assemble(Op.LOAD, length=16, macros=1, skip=FREE),
           assemble(Op.MVM, steps=1, macros=1, skip=FREE), take(d=4, skip=FREE, release=1),
           assemble(Op.SEND, dest=1, flits=1, dst=0), assemble(Op.SEND, dest=1, flits=1, dst=1)]


def test_equal_tokens_keep_their_order():
    for seed in range(20):
        sent = disordered(COMPUTE, [0, 0, 0, 0], seed)
        for offset in range(2):
            assert [n for n, place in sent if place == offset] == [0, 1, 2, 3]


def test_tokens_that_compute_nothing_may_overtake():
    """Now and then the last, which skips all the others compute, sends before them."""
    orders = {tuple(n for n, place in disordered(COMPUTE, [0, 0, FREE], seed) if place == 0)
              for seed in range(40)}
    assert {(0, 1, 2), (2, 0, 1), (0, 2, 1)} <= orders
    assert all(order.index(0) < order.index(1) for order in orders)


def test_packets_of_a_write_may_hold_several_entries():
    bench = Bench([])
    entries = [zeros(STAGE_ENTRY, base=n) for n in range(3)]
    [packet] = write_packets(MACHINE, entries, src=HOST, dst=HERE, unit=Unit.STAGE, address=1)
    assert isinstance(packet, Packet) and len(packet.payload) == 3
    bench.core.receive(packet)
    assert [bench.core.tables.written(Unit.STAGE)[n + 1] for n in range(3)] == entries
