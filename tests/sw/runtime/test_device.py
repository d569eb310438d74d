import asyncio
from dataclasses import replace

import pytest

from ouroboros.hw.params.counters import COUNTER_BITS, Counter, stage_counter
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import TRACE_ENTRY, Kind, Port, Unit
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.program.packets import reply_packet
from ouroboros.sw.runtime.device import Device, DeviceError, TraceEntry


class FakeLink:
    """Answers READs from tables of (core, unit); ``spoil`` changes answers."""

    def __init__(self, program, tables=None, spoil=lambda packet: packet):
        self.machine, self.tables, self.spoil = program.machine, tables or {}, spoil
        self.sent, self.answers = [], []

    async def send(self, packets):
        self.sent += packets
        for packet in packets:
            header = packet.header
            if header["kind"] != Kind.READ:
                continue
            core = header["dst_x"], header["dst_y"]
            for n in range(header["address"], header["address"] + header["count"]):
                value = self.tables.get((core, header["unit"]), {}).get(n, 0)
                self.answers.append(self.spoil(reply_packet(
                    self.machine, value, src=core, dst=(header["src_x"], header["src_y"]),
                    unit=header["unit"], address=n)))

    async def recv(self):
        return self.answers.pop(0)

    @property
    def cycles(self):
        return None


def test_load_writes_everything_then_asks_every_core(program):
    link = FakeLink(program)
    device = Device(link, program)
    count = asyncio.run(device.load())
    writes = [packet for packet in link.sent if packet.header["kind"] == Kind.WRITE]
    assert len(writes) == count == len(device.load_packets())
    reads = link.sent[count:]
    assert {(p.header["dst_x"], p.header["dst_y"]) for p in reads} == {*program.images}
    assert link.answers == []


def test_routers_hear_of_dead_parts_first(model):
    """Then the cores, all by ways around what is dead; nobody asks the dead or the cut off."""
    machine = load_machine("tiny")
    machine = replace(machine, noc=replace(machine.noc, class1_vcs=1))
    routes = Routes(Faults(mesh=machine.mesh, routers=frozenset({(2, 1)}), links=frozenset(
        {((1, 2), (2, 2)), ((2, 2), (3, 2)), ((2, 3), (2, 2))})))
    assert routes.live.cut_off == ((2, 2),)
    program = map_model(machine, model, routes=routes)
    link = FakeLink(program)
    asyncio.run(Device(link, program).load())
    kinds = [packet.header["kind"] for packet in link.sent]
    first = kinds.index(Kind.READ)
    heard = {(p.header["dst_x"], p.header["dst_y"]): p.payload[0] for p in link.sent[:first]}
    assert {p.header["unit"] for p in link.sent[:first]} == {Unit.ROUTER}
    north, east, west = (1 << port for port in (Port.NORTH, Port.EAST, Port.WEST))
    assert heard == {(1, 1): east, (1, 2): east, (3, 1): west, (3, 2): west, (2, 3): north}
    assert Unit.ROUTER not in {p.header["unit"] for p in link.sent[first:]}
    asyncio.run(Device(link, program).clear())
    seen = set()
    for packet in link.sent:
        header = packet.header
        core = header["dst_x"], header["dst_y"]
        seen.add(core)
        there = routes.route(machine.host, core)
        assert (header["way_x"], header["way_y"]) == there.way
        assert header["vc"] == machine.noc.control_vc
        if header["kind"] == Kind.READ:
            back = routes.route(core, machine.host)
            assert (header["back_x"], header["back_y"], header["back_table"]) == (*back.way, 0)
    assert seen == {*machine.mesh.coordinates} - {(2, 1), (2, 2)}
    assert routes.route(machine.host, (3, 1)).way == (1, 3)


def test_errors_of_idle_cores_count(program):
    [idle, *_] = {*program.machine.mesh.coordinates} - {*program.images}
    tables = {((1, 1), Unit.COUNTER): {Counter.ERRORS: 2},
              (idle, Unit.COUNTER): {Counter.ERRORS: 3}}
    assert asyncio.run(Device(FakeLink(program, tables), program).errors()) == 5


def test_clear(program):
    link = FakeLink(program)
    asyncio.run(Device(link, program).clear())
    writes = [packet for packet in link.sent if packet.header["kind"] == Kind.WRITE]
    assert {(p.header["dst_x"], p.header["dst_y"]) for p in writes} == {
        *program.machine.mesh.coordinates} > {*program.images}
    assert {p.header["unit"] for p in writes} == {Unit.CONTROL}


def test_flit_hops_of_idle_cores_count(program):
    mesh = program.machine.mesh
    [idle, *_] = {*mesh.coordinates} - {*program.images}
    table = {Counter.FLIT_HOPS_DATA: 7, Counter.FLIT_HOPS_CONTROL: 100}
    tables = {((1, 1), Unit.COUNTER): table, (idle, Unit.COUNTER): table}
    assert asyncio.run(Device(FakeLink(program, tables), program).flit_hops()) == 14


def test_counters(program):
    top = (1 << COUNTER_BITS) - 1
    table = {Counter.CYCLES: top, Counter.FLITS_IN: 7, stage_counter(1, "blocked"): 5,
             stage_counter(3, "busy"): 9}
    device = Device(FakeLink(program, {((2, 1), Unit.COUNTER): table}), program)
    counters = asyncio.run(device.counters([(2, 1)]))[2, 1]
    assert counters.events["cycles"] == top and counters.events["flits_in"] == 7
    assert counters.events.keys() == {c.name.lower() for c in Counter} - {"stage0"}
    assert counters.stages == [
        {"busy": 0, "waiting": 0, "blocked": 0}, {"busy": 0, "waiting": 0, "blocked": 5},
        {"busy": 0, "waiting": 0, "blocked": 0}, {"busy": 9, "waiting": 0, "blocked": 0}]


@pytest.mark.parametrize("total", [0, 3, 64, 65, 130])
def test_trace_is_oldest_first(program, total):
    """The ring keeps the last ``trace_words`` tokens; its count lies behind it."""
    depth = program.machine.core.trace_words
    entries = [{"stage": 1, "sequence": n % 4, "position": n, "flags": 8, "start": 10 * n,
                "end": 10 * n + 5, "spare": 0} for n in range(total)]
    table = {n % depth: TRACE_ENTRY.pack(entry) for n, entry in enumerate(entries)}
    table[depth] = total
    device = Device(FakeLink(program, {((1, 1), Unit.TRACE): table}), program)
    trace = asyncio.run(device.traces([(1, 1)]))[1, 1]
    assert trace == [TraceEntry(1, n % 4, n, 8, 10 * n, 10 * n + 5)
                     for n in range(max(0, total - depth), total)]


@pytest.mark.parametrize("change", [
    {"kind": int(Kind.CREDIT)}, {"address": 5}, {"unit": int(Unit.TRACE)}, {"src_x": 4}])
def test_an_unexpected_answer_is_named(program, change):
    def spoil(packet):
        return type(packet)({**packet.header, **change}, packet.payload)

    device = Device(FakeLink(program, spoil=spoil), program)
    with pytest.raises(DeviceError,
                       match=r"^core \(1, 1\): expected a reply for COUNTER entry 0, not \{"):
        asyncio.run(device.read((1, 1), Unit.COUNTER, 0, 2))
