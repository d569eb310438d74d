"""Operands in, vectors out, credits, configuration and readout through a core's network port.

Reads MACHINE, ROUNDS and STALL from the environment.
"""

import os
import random
from collections import Counter, deque
from itertools import count

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from ouroboros.hw.core.egress import credit_layout
from ouroboros.hw.core.slots import arrived_signature, found_signature, lookup_signature
from ouroboros.hw.lib.bus import config_data_bits, done_signature, issue_layout
from ouroboros.hw.params import counters
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import DEST_ENTRY, Kind, Unit
from ouroboros.sw.golden.ingress import Arrived, Config, Credit, Error, IngressModel, Write
from ouroboros.sw.program.packets import (
    credit_packet,
    data_packets,
    entry_flits,
    packets_of,
    read_packet,
    send_packets,
    write_packets,
)
from ouroboros.tb.core.link_ends import LinkSink, LinkSource
from ouroboros.tb.lib.scoreboard import Scoreboard
from ouroboros.tb.lib.stream import StreamDriver, StreamMonitor, pack, unpack

HOST, ME = (0, 1), (2, 1)
REGION = 16
"""Buffer words of one slot in this bench."""


class Bench:
    """Host, neighbours, controller and golden model around the network interface."""

    def __init__(self, dut):
        self.dut = dut
        self.machine = load_machine(os.environ["MACHINE"])
        self.stall = float(os.environ["STALL"])
        machine = self.machine
        self.words: dict[tuple[int, int], int] = {}     # the buffer: (word, part) to flit
        self.table = [{f.name: random.getrandbits(f.bits) if f.name != "vc" else 0
                       for f in DEST_ENTRY.fields} for _ in range(machine.core.dests)]
        self.golden = IngressModel(machine, lambda stage, sequence, position: (
            None if stage == 15 else (position % machine.core.slots, self.base(position))))
        self.boards = {kind: Scoreboard(kind.__name__)
                       for kind in (Arrived, Credit, Config, Error)}
        self.came = Counter()       # packets of a token that arrived
        self.finished = Counter()   # instructions by slot
        self.flits_in = 0

    def base(self, position):
        return position % self.machine.core.slots * REGION

    def idle(self):
        return (random.random() < self.stall for _ in count())

    async def start(self):
        dut, machine = self.dut, self.machine
        dut.x.value, dut.y.value = ME
        dut.found__valid.value = 0
        dut.rst.value = 1
        self.source = LinkSource(dut, machine, self.idle(), self.sent)
        self.sink = LinkSink(dut, machine, self.idle())
        self.issue = StreamDriver(dut, "issue", issue_layout(machine), idle=self.idle())
        self.give = StreamDriver(dut, "give", credit_layout(), idle=self.idle())
        self.asked = deque()
        StreamMonitor(dut, "lookup", lookup_signature().members["payload"].shape,
                      self.asked.append, ready=(not idle for idle in self.idle()))
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        for _ in range(2):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        cocotb.start_soon(self.answer())
        cocotb.start_soon(self.watch())

    async def answer(self):
        """The controller: answers each lookup 1 to 3 cycles after it was accepted."""
        dut = self.dut
        layout = found_signature(self.machine).members["payload"].shape
        while True:
            await RisingEdge(dut.clk)
            dut.found__valid.value = 0
            if self.asked:
                token = self.asked.popleft()
                if random.random() < self.stall:
                    for _ in range(random.randint(0, 2)):
                        await RisingEdge(dut.clk)
                dut.found__valid.value = 1
                dut.found__payload.value = pack(layout, {
                    "ok": token.stage != 15, "slot": token.position % self.machine.core.slots,
                    "base": self.base(token.position)})

    async def watch(self):
        """Everything that the ingress reports, and the completions."""
        dut, machine = self.dut, self.machine
        arrived = arrived_signature(machine).members["payload"].shape
        done = done_signature(machine).members["payload"].shape
        assert len(dut.config__data) == config_data_bits(machine)
        while True:
            await RisingEdge(dut.clk)
            await ReadOnly()
            if dut.arrived__valid.value == 1:
                item = unpack(arrived, int(dut.arrived__payload.value))
                self.came[item.slot] += 1
                self.boards[Arrived].actual(Arrived(item.slot, item.operand, item.flags))
            if dut.credit__valid.value == 1:
                self.boards[Credit].actual(Credit(int(dut.credit__payload.value)))
            if dut.config__valid.value == 1:
                unit = int(dut.config__unit.value)
                bits = entry_flits(machine, unit) * machine.noc.flit_bits
                self.boards[Config].actual(Config(
                    unit, int(dut.config__address.value),
                    int(dut.config__data.value) & (1 << bits) - 1))
            if dut.error.value == 1:
                self.boards[Error].actual(Error())
            if dut.done__valid.value == 1:
                self.finished[unpack(done, int(dut.done__payload.value)).slot] += 1

    def sent(self, flit):
        """The golden ingress takes each flit that goes in; one READ at a time, so never busy."""
        self.flits_in += 1
        for effect in self.golden.take(flit):
            if isinstance(effect, Write):
                self.words[effect.word, effect.part] = effect.data
            elif type(effect) in self.boards:
                self.boards[type(effect)].expect(effect)

    async def until(self, condition):
        for _ in range(5000):
            if condition():
                return
            await RisingEdge(self.dut.clk)
        raise AssertionError("the network interface hangs")

    async def counted(self, counter, key, number):
        """Wait for ``number`` more of ``key``; nobody else waits for that key."""
        await self.until(lambda: counter[key] >= number)
        assert counter[key] == number
        counter[key] = 0

    async def slot(self, slot, rounds):
        """Again and again: operands arrive in a slot, and go out again in pieces.

        Returns the packets that must come out, in order.
        """
        machine = self.machine
        per_word, flit_bits = machine.flits_per_word, machine.noc.flit_bits
        expected = []
        for n in range(rounds):
            token = {"sequence": random.getrandbits(16), "stage": random.randrange(15),
                     "position": random.randrange(1 << 10) * machine.core.slots + slot}
            packets = data_packets([random.getrandbits(flit_bits) for _ in
                                    range(REGION * per_word)], src=HOST, dst=ME, operand=n % 4,
                                   flags=random.getrandbits(4), **token)
            random.shuffle(packets)
            for packet in packets:
                self.source.send(packet)
            self.noise()
            await self.counted(self.came, slot, len(packets))

            del token["stage"]
            src, flits = random.randrange(REGION), random.choice([0, 1, 8, 9, 30])
            flits = min(flits, (REGION - src) * per_word)
            dest, dst = random.randrange(len(self.table)), random.randrange(1 << 12)
            start = (self.base(slot) + src) * per_word
            payload = [self.words[divmod(start + i, per_word)] for i in range(flits)]
            flags = random.getrandbits(4)
            self.issue.send({"slot": slot, "base": self.base(slot), "tokens": 0, "flags": flags,
                             "instruction": assemble(Op.SEND, dest=dest, src=src, flits=flits,
                                                     dst=dst), **token})
            expected += send_packets(self.table[dest], payload, src=ME, dst=dst, flags=flags,
                                     **token)
            await self.counted(self.finished, slot, 1)
        return expected

    def noise(self):
        """Packets around the data: credits, configuration, and some that are refused."""
        machine = self.machine
        for _ in range(random.randrange(4)):
            self.source.send(credit_packet(machine, src=HOST, dst=ME,
                                           counter=random.randrange(32)))
        unit = random.choice([Unit.PARAM, Unit.WEIGHT + 1, Unit.STEP])
        bits = entry_flits(machine, unit) * machine.noc.flit_bits
        for packet in write_packets(machine, [random.getrandbits(bits) for _ in
                                              range(random.randint(1, 10))],
                                    src=HOST, dst=ME, unit=unit, address=random.getrandbits(20)):
            self.source.send(packet)
        for packet in data_packets([1, 2], src=HOST, dst=ME, sequence=0, position=0, stage=15,
                                   operand=0):
            self.source.send(packet)
        self.give.send({"x": 1, "y": 2, "counter": random.randrange(32)})

    def replies(self):
        return [p for p in packets_of(self.sink.flits) if p.header["kind"] == Kind.REPLY]

    async def read(self, unit, address, entries):
        """Values of some entries, asked for when nothing else is on its way."""
        before = len(self.replies())
        self.source.send(read_packet(self.machine, src=HOST, dst=ME, unit=unit, address=address,
                                     count=entries))
        wanted = len(self.sink.flits) + 2 * entries
        await self.until(lambda: len(self.sink.flits) == wanted)
        packets = self.replies()[before:]
        assert [(p.header["dst_x"], p.header["dst_y"], p.header["unit"], p.header["address"])
                for p in packets] == [(*HOST, unit, address + n) for n in range(entries)]
        return [p.payload[0] for p in packets]


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def everything_at_once(dut):
    """All slots receive and send while credits, configuration and refused packets come and go."""
    bench = Bench(dut)
    await bench.start()
    for packet in write_packets(bench.machine, [DEST_ENTRY.pack(e) for e in bench.table],
                                src=HOST, dst=ME, unit=Unit.DEST):
        bench.source.send(packet)
    await bench.until(lambda: bench.source.empty)
    slots = [cocotb.start_soon(bench.slot(slot, int(os.environ["ROUNDS"])))
             for slot in range(bench.machine.core.slots)]
    expected = [packet for slot in slots for packet in await slot]
    await bench.until(lambda: bench.source.empty)
    await bench.give.drained()
    for _ in range(100):
        await RisingEdge(dut.clk)

    out = [p for p in packets_of(bench.sink.flits) if p.header["kind"] == Kind.DATA]
    assert sorted(out, key=repr) == sorted(expected, key=repr)
    assert out
    for board in bench.boards.values():
        board.finish()

    flits_out = len(bench.sink.flits)
    errors = bench.boards[Error].checked
    totals = await bench.read(Unit.COUNTER, counters.Counter.FLITS_OUT, 4)
    assert totals[0] == flits_out
    assert totals[3] == errors
    totals = await bench.read(Unit.COUNTER, counters.Counter.FLITS_IN, 1)
    assert totals == [bench.flits_in]
    for packet in write_packets(bench.machine, [0], src=HOST, dst=ME, unit=Unit.CONTROL):
        bench.source.send(packet)
    await bench.until(lambda: bench.source.empty)
    assert await bench.read(Unit.COUNTER, counters.Counter.ERRORS, 1) == [0]
