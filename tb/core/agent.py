"""Host, neighbours and controller around a core's network interface, against the golden models."""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

from ouroboros.hw.params import counters
from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import DEST_ENTRY, Kind, Unit
from ouroboros.sw.golden.ingress import Arrived, Config, Credit, Error, IngressModel, Write
from ouroboros.sw.program.packets import (
    Flit,
    Packet,
    credit_packet,
    data_packets,
    entry_flits,
    packets_of,
    read_packet,
    send_packets,
    write_packets,
)
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.lib.met import met
from ouroboros.tb.lib.scoreboard import Scoreboard
from ouroboros.tb.lib.stream import StreamSink, StreamSource
from ouroboros.tb.noc.links import LinkSink, LinkSource
from ouroboros.tb.noc.packets import header_of

__all__ = ["NiAgent"]

HOST, ME = (0, 1), (2, 1)
REGION = 16
"""Buffer words of one slot."""
NO_SUCH_STAGE = 15
"""Its packets find no slot."""


class NiAgent(Agent):
    """Operands in, vectors out, credits, configuration and readout on ``tb.core.ni_top``."""

    def __init__(self, dut: Dut, machine: Machine, *, stall: float = 0.0,
                 rng: random.Random | None = None):
        super().__init__(dut, stall=stall, rng=rng)
        self.machine, rng = machine, self.rng
        self.words: dict[tuple[int, int], int] = {}     # the buffer: (word, part) to flit
        self.table = [{f.name: rng.getrandbits(f.bits) if f.name != "vc" else 0
                       for f in DEST_ENTRY.fields} for _ in range(machine.core.dests)]
        self.golden = IngressModel(machine, lambda stage, sequence, position: (
            None if stage == NO_SUCH_STAGE else self._place(position)))
        self.boards = {kind: Scoreboard(kind.__name__)
                       for kind in (Arrived, Credit, Config, Error)}
        self.came: Counter[int] = Counter()         # packets of a token that arrived
        self.finished: Counter[int] = Counter()     # instructions by slot
        self.expected: list[Packet] = []
        self._asked: deque[tuple[int, Any]] = deque()
        self.ends.append(self)
        self.source = LinkSource(self, "link_in", machine.noc, pick=rng.choice, sent=self._sent)
        self.sink = LinkSink(self, "link_out", machine.noc)
        self.issue, self.give = StreamSource(self, "issue"), StreamSource(self, "give")
        StreamSink(self, "lookup", self._lookup)
        for name, value in zip("xy", ME, strict=True):
            dut.set(name, value)

    def drive(self) -> None:
        """The controller answers lookups, 1 to 3 cycles after it took them."""
        due = bool(self._asked) and self._asked[0][0] <= self.cycle
        self.dut.set("found__valid", int(due))
        if due:
            token = self._asked.popleft()[1]
            slot, base = self._place(token.position)
            self.dut.set("found__payload", {"ok": int(token.stage != NO_SUCH_STAGE), "slot": slot,
                                            "base": base})

    def look(self) -> None:
        """Everything that the ingress reports, and the completions."""
        get, boards = self.dut.get, self.boards
        if get("arrived__valid"):
            item = get("arrived__payload")
            self.came[item.slot] += 1
            boards[Arrived].actual(Arrived(item.slot, item.operand, item.flags))
        if get("credit__valid"):
            boards[Credit].actual(Credit(get("credit__payload")))
        if get("config__valid"):
            unit = get("config__unit")
            bits = entry_flits(self.machine, unit) * self.machine.noc.flit_bits
            boards[Config].actual(Config(unit, get("config__address"),
                                         get("config__data") & (1 << bits) - 1))
        if get("error"):
            boards[Error].actual(Error())
        if get("done__valid"):
            self.finished[get("done__payload").slot] += 1

    async def everything_at_once(self, rounds: int) -> None:
        """All slots receive and send while credits, configuration and refused packets come and go.

        In the end what came out, what was reported and what was counted is what should.
        """
        self._write([DEST_ENTRY.pack(entry) for entry in self.table], Unit.DEST)
        await self.until(lambda: self.source.empty)
        await self.together(*(self._slot(slot, rounds) for slot in range(self.machine.core.slots)))
        await self.until(lambda: self.source.empty and not self.give.queue)
        await self.step(100)

        out = [p for p in packets_of(self.sink.flits) if p.header["kind"] == Kind.DATA]
        assert out and sorted(out, key=repr) == sorted(self.expected, key=repr)
        for board in self.boards.values():
            board.finish()

        flits_out, errors = len(self.sink.flits), self.boards[Error].checked
        totals = await self._read(counters.Counter.FLITS_OUT, 4)
        assert (totals[0], totals[3]) == (flits_out, errors)
        # The READ itself is counted before it is answered.
        totals = await self._read(counters.Counter.FLITS_IN, 1)
        assert totals == [len(self.source.sent)]
        self._write([0], Unit.CONTROL)
        await self.until(lambda: self.source.empty)
        assert await self._read(counters.Counter.ERRORS, 1) == [0]

    def _slot(self, slot: int, rounds: int) -> Iterator[Callable[[], bool]]:
        """Again and again: operands arrive in a slot, and go out again in pieces."""
        rng, machine = self.rng, self.machine
        per_word, flit_bits = machine.flits_per_word, machine.noc.flit_bits
        for n in range(rounds):
            token = {"sequence": rng.getrandbits(16),
                     "position": rng.randrange(1 << 10) * machine.core.slots + slot}
            packets = data_packets(
                [rng.getrandbits(flit_bits) for _ in range(REGION * per_word)], src=HOST, dst=ME,
                operand=n % 4, flags=rng.getrandbits(4), stage=rng.randrange(NO_SUCH_STAGE),
                **token)
            rng.shuffle(packets)
            for packet in packets:
                self.source.send(packet.flits())
            self._noise()
            yield _reached(self.came, slot, len(packets))
            assert self.came.pop(slot) == len(packets)

            src, flits = rng.randrange(REGION), rng.choice([0, 1, 8, 9, 30])
            flits = min(flits, (REGION - src) * per_word)
            dest, dst = rng.randrange(len(self.table)), rng.randrange(1 << 12)
            base = self._place(slot)[1]
            payload = [self.words[divmod((base + src) * per_word + i, per_word)]
                       for i in range(flits)]
            flags = rng.getrandbits(4)
            self.issue.send({"slot": slot, "base": base, "tokens": 0, "flags": flags,
                             "instruction": assemble(Op.SEND, dest=dest, src=src, flits=flits,
                                                     dst=dst), **token})
            self.expected += send_packets(self.table[dest], payload, src=ME, dst=dst, flags=flags,
                                          **token)
            yield _reached(self.finished, slot, 1)
            assert self.finished.pop(slot) == 1

    def _noise(self) -> None:
        """Packets around the data: credits, configuration, and some that are refused."""
        rng, machine = self.rng, self.machine
        for _ in range(rng.randrange(4)):
            self.source.send(credit_packet(machine, src=HOST, dst=ME,
                                           counter=rng.randrange(32)).flits())
        unit = rng.choice([Unit.PARAM, Unit.WEIGHT + 1, Unit.STEP])
        bits = entry_flits(machine, unit) * machine.noc.flit_bits
        self._write([rng.getrandbits(bits) for _ in range(rng.randint(1, 10))], unit,
                    rng.getrandbits(20))
        for packet in data_packets([1, 2], src=HOST, dst=ME, sequence=0, position=0,
                                   stage=NO_SUCH_STAGE, operand=0):
            self.source.send(packet.flits())
        self.give.send({"x": 1, "y": 2, "counter": rng.randrange(32)})

    def _write(self, entries: list[int], unit: int, address: int = 0) -> None:
        for packet in write_packets(self.machine, entries, src=HOST, dst=ME, unit=unit,
                                    address=address):
            self.source.send(packet.flits())

    async def _read(self, address: int, entries: int) -> list[int]:
        """Values of some counters, asked for when nothing else is on its way."""
        before, wanted = len(self._replies()), len(self.sink.flits) + 2 * entries
        self.source.send(read_packet(self.machine, src=HOST, dst=ME, unit=Unit.COUNTER,
                                     address=address, count=entries).flits())
        await self.until(lambda: len(self.sink.flits) == wanted)
        packets = self._replies()[before:]
        assert [(p.header["dst_x"], p.header["dst_y"], p.header["unit"], p.header["address"])
                for p in packets] == [(*HOST, Unit.COUNTER, address + n) for n in range(entries)]
        return [p.payload[0] for p in packets]

    def _replies(self) -> list[Packet]:
        return [p for p in packets_of(self.sink.flits) if p.header["kind"] == Kind.REPLY]

    def _place(self, position: int) -> tuple[int, int]:
        """Slot and base word of a token."""
        slot = position % self.machine.core.slots
        return slot, slot * REGION

    def _lookup(self, token: Any) -> None:
        due = self.cycle + 1 + (self.rng.randint(0, 2) if self.idle() else 0)
        if self._asked:
            due = max(due, self._asked[-1][0] + 1)
        self._asked.append((due, token))

    def _sent(self, flit: Flit) -> None:
        """The golden ingress takes each flit that goes in; one READ at a time, so never busy."""
        if flit.head:
            met("packet", Kind(header_of(flit)["kind"]))
        for effect in self.golden.take(flit):
            if isinstance(effect, Write):
                self.words[effect.word, effect.part] = effect.data
            elif type(effect) in self.boards:
                self.boards[type(effect)].expect(effect)


def _reached(counter: Counter[int], slot: int, number: int) -> Callable[[], bool]:
    return lambda: counter[slot] >= number
