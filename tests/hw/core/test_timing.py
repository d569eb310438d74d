"""The contracts of ``hw.params.timing.control`` and ``.network``, asserted of the hardware.

Cycles between the controller and the network interface add up to those between stages.
"""

from dataclasses import replace
from functools import cache, partial

import pytest

from ouroboros.hw.noc.port import HostPort
from ouroboros.hw.params.isa import Fn, Op, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import DEST_ENTRY, Flag, Unit
from ouroboros.hw.params.timing import control, network
from ouroboros.sw.program.packets import credit_packet, data_packets, write_packets
from ouroboros.tb.core.controller_script import run_controller
from ouroboros.tb.core.ni_top import NetworkInterface
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
CONTROLLER = replace(TINY, core=replace(TINY.core, stages=2, slots=4, credits=3, dests=4,
                                        program_words=32, credit_list_words=8))
HERE, THERE = (1, 1), (2, 1)
END = assemble(Op.END)

run = partial(run_controller, CONTROLLER)


def sfu(**conditions):
    return assemble(Op.SFU, fn=Fn.MAC, **conditions)


@cache
def interface():
    return PySim(NetworkInterface(TINY))


def first_cycles(inputs, watched, *, cycles=40):
    """First cycle of each watched event of a network interface, after its inputs at cycle 0.

    ``inputs``: by cycle, functions of the simulator's context that set something; ``watched``: by
    name, a function that tells whether the event is there.
    """
    seen = {}

    async def bench(ctx):
        dut, looked = interface().dut, 0
        ctx.set(dut.x, HERE[0])
        ctx.set(dut.y, HERE[1])
        for cycle in range(cycles):
            ctx.set(dut.link_in.valid, 0)
            ctx.set(dut.issue.valid, 0)
            ctx.set(dut.give.valid, 0)
            ctx.set(dut.found.valid, looked)
            ctx.set(dut.found.p.ok, 1)
            for act in inputs.get(cycle, ()):
                act(ctx, dut)
            for name, there in watched.items():
                if there(ctx, dut):
                    seen.setdefault(name, cycle)
            looked = ctx.get(dut.lookup.valid)      # the controller's slots answer one cycle later
            await ctx.tick()

    interface().run(bench)
    return seen


def on_link(flit):
    def act(ctx, dut):
        ctx.set(dut.link_in.valid, 1)
        ctx.set(dut.link_in.flit, flit._asdict())
    return act


def test_skipped_and_issued():
    """What runs in no unit takes DISPATCH_CYCLES; what does, its unit's time and ISSUE_CYCLES."""
    latency = 5
    code = [sfu(need=Flag.FREE), sfu(), sfu(), END]
    log = run(code, {0: [("token", 0, 1, 1)]}, latency=latency)
    picked = 1 + control.DISPATCH_CYCLES
    assert log.issues[0].cycle == picked + control.ACCEPT_CYCLES
    assert log.issues[1].cycle - log.issues[0].cycle == latency + control.ISSUE_CYCLES
    ended = log.issues[1].cycle - control.ACCEPT_CYCLES + control.ISSUE_CYCLES + latency
    assert log.traces[0][0] == ended + 1


@pytest.mark.parametrize("arrival", [12, 13, 14, 15])
def test_wake(arrival):
    """A WAIT whose last packet arrives in cycle t is picked in t + WAKE_CYCLES."""
    code = [assemble(Op.WAIT, operand=1, packets=1), sfu(), END]
    log = run(code, {0: [("token", 0, 1, 1)], arrival: [("packet", 0, 1, 0)]})
    picked = arrival + control.WAKE_CYCLES
    assert log.issues[0].cycle == picked + control.DISPATCH_CYCLES + control.ACCEPT_CYCLES


def test_way_out():
    """From an accepted SEND to the header, from a credit given to the CREDIT, on the link."""
    entry = DEST_ENTRY.pack({f.name: 0 for f in DEST_ENTRY.fields} | {"x": 2, "y": 1})
    packets = write_packets(TINY, [entry], src=(0, 1), dst=HERE, unit=Unit.DEST, address=0)
    flits = [flit for packet in packets for flit in packet.flits()]
    inputs = {cycle: [on_link(flit)] for cycle, flit in enumerate(flits)}
    start = 30
    inputs[start] = [lambda ctx, dut: (
        ctx.set(dut.issue.valid, 1),
        ctx.set(dut.issue.p.instruction, assemble(Op.SEND, dest=0, flits=1)))]
    seen = first_cycles(inputs, {"link": lambda ctx, dut: ctx.get(dut.link_out.valid)}, cycles=50)
    assert seen["link"] == start + network.LEAVE_CYCLES


def test_credit_out():
    """END gives its slot's credits back: from its act to the first CREDIT on the link."""
    stage = {"slot_first": 0, "slot_count": 2, "base": 0, "stride": 8, "credit_first": 0,
             "credit_count": 1}
    log = run([END], {0: [("token", 0, 1, 1)]}, stages=[stage],
              credit_list=[{"x": 2, "y": 1, "counter": 1}])
    seen = first_cycles(
        {5: [lambda ctx, dut: (ctx.set(dut.give.valid, 1), ctx.set(dut.give.p.x, 2),
                               ctx.set(dut.give.p.y, 1))]},
        {"link": lambda ctx, dut: ctx.get(dut.link_out.valid)})
    acted = log.traces[0][0]        # the act of END
    offered = log.credit_cycles[0] - acted
    assert offered + seen["link"] - 5 == network.CREDIT_OUT_CYCLES


@pytest.mark.parametrize("gap", [0, 1, 2, 5])
@pytest.mark.parametrize("before", [1, 2, 3])
def test_way_in(before, gap):
    """From header and last flit on the link to the look-up and the arrival.

    Sooner for a packet with a gap, wherever in it and however long.
    """
    [packet] = data_packets([1, 2, 3], src=THERE, dst=HERE, stage=0, operand=0, sequence=1,
                            position=1, offset=0)
    flits = packet.flits()
    assert len(flits) == 4
    seen = first_cycles(
        {n + gap * (n >= before): [on_link(flit)] for n, flit in enumerate(flits)},
        {"lookup": lambda ctx, dut: ctx.get(dut.lookup.valid),
         "arrived": lambda ctx, dut: ctx.get(dut.arrived.valid)})
    log = run([END], {0: [("token", 0, 1, 1)]})
    picked = log.traces[0][0] - 1
    assert seen["lookup"] + picked == network.LOOKUP_CYCLES
    assert seen["arrived"] == len(flits) - 1 + gap + network.ARRIVE_CYCLES - (
        network.GAP_CYCLES if gap else 0)
    assert network.COUNT_CYCLES == network.ARRIVE_CYCLES + control.WAKE_CYCLES


def test_credit_in():
    """From a CREDIT on the link to a SEND that had waited for it."""
    packet = credit_packet(TINY, src=THERE, dst=HERE, counter=1)
    [flit] = packet.flits()
    seen = first_cycles({0: [on_link(flit)]},
                        {"credit": lambda ctx, dut: ctx.get(dut.credit.valid)})
    log = run([assemble(Op.SEND, dest=0, acquire=1), END],
              {0: [("token", 0, 1, 1)], 20: [("credit", 1)]}, masks=(2,))
    waited = log.issues[0].cycle - 20 - control.ACCEPT_CYCLES
    assert seen["credit"] + waited == network.CREDIT_IN_CYCLES


def test_host_port():
    """From the host's offer to the link, and from the link to the host."""
    sim, seen = PySim(HostPort(TINY.noc)), {}

    async def bench(ctx):
        dut = sim.dut
        ctx.set(dut.o.ready, 1)
        for cycle in range(20):
            ctx.set(dut.i.valid, int(cycle == 3))
            ctx.set(dut.link_in.valid, int(cycle == 5))
            for name, there in (("out", dut.link_out.valid), ("in", dut.o.valid)):
                if ctx.get(there):
                    seen.setdefault(name, cycle)
            await ctx.tick()

    sim.run(bench)
    assert seen == {"out": 3 + network.HOST_FIRST_CYCLES, "in": 5 + network.HOST_CYCLES}
