"""Measures cycles of leaf blocks; samples go to the file OUT as JSON.

Reads MACHINE (a path) and OUT from the environment. Each test is for one top module.
"""

import json
import os
from itertools import product
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from ouroboros.hw.cim.sequencer import command_layout, operand_words
from ouroboros.hw.lib.bus import issue_layout
from ouroboros.hw.lib.struct import struct
from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.isa import Fn, MMode, Op, Track, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import DATA_HEADER
from ouroboros.hw.params.timing.sfu import reads_c, sfu_beats, writes_c
from ouroboros.tb.lib.stream import pack

LIMIT_CYCLES = 20000


async def start(dut, *inputs):
    """Machine, with the clock running and inputs at 0."""
    for name in inputs:
        getattr(dut, name).value = 0
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    return load_machine(os.environ["MACHINE"])


async def cycles_until(dut, signal, mask=1):
    """Clock cycles until a bit of ``signal`` is set; inputs change while the clock is low."""
    for count in range(LIMIT_CYCLES):
        if int(signal.value) & mask:
            return count
        await FallingEdge(dut.clk)
    raise AssertionError(f"{signal} must be set within {LIMIT_CYCLES} cycles")


def write(samples):
    """Hand over (features, cycles) pairs."""
    Path(os.environ["OUT"]).write_text(json.dumps(samples))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def macro(dut):
    """Features: row groups. From the acceptance of a command to the first cycle of ``full``."""
    machine = await start(dut, "operand__en", "operand__clear", "operand__bank", "write__en",
                          "cmd__valid", "beat", "take")
    cim, samples = machine.cim, []
    for n in range(operand_words(machine)):
        dut.operand__en.value = 1
        dut.operand__index.value = n
        dut.operand__data.value = 0
        dut.operand__mask.value = (1 << machine.core.word_bits // 8) - 1
        await FallingEdge(dut.clk)
    dut.operand__en.value = 0
    for groups in sorted({1, 2, cim.groups // 2, cim.groups}):
        dut.cmd__payload.value = pack(command_layout(machine), {
            "bank": 0, "first_group": 0, "operand_group": 0, "groups": groups, "first": 1,
            "last": 1, "columns": (1 << cim.outputs) - 1})
        dut.cmd__valid.value = 1
        await ReadOnly()
        assert dut.cmd__ready.value
        await FallingEdge(dut.clk)
        dut.cmd__valid.value = 0
        samples.append(([groups], 1 + await cycles_until(dut, dut.full)))
        dut.take.value = 1
        await FallingEdge(dut.clk)
        dut.take.value = 0
        await FallingEdge(dut.clk)
    write(samples)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def sfu(dut):
    """Features: beats, word C read, word C written. From acceptance to ``done``."""
    machine = await start(dut, "issue__valid", "drain__valid", "config__valid", "read_a__data",
                          "read_b__data")
    samples, lanes = [], machine.core.lanes
    kinds = [(Fn.MAC, MMode.UNITY, Track.NONE), (Fn.MAC, MMode.SCALAR, Track.NONE),
             (Fn.MAC, MMode.UNITY, Track.MAX), (Fn.EXP, MMode.FIXED, Track.NONE)]
    for (fn, m_mode, track), beats in product(kinds, (1, 3, 16)):
        length = beats * lanes
        word = assemble(Op.SFU, fn=fn, m_mode=m_mode, track=track, length=length)
        dut.issue__payload.value = pack(issue_layout(machine), {"instruction": word})
        dut.issue__valid.value = 1
        await ReadOnly()
        assert dut.issue__ready.value
        await FallingEdge(dut.clk)
        dut.issue__valid.value = 0
        samples.append(([sfu_beats(machine, length), int(reads_c(fn, m_mode)),
                         int(writes_c(fn, track))],
                        1 + await cycles_until(dut, dut.done__valid)))
        await FallingEdge(dut.clk)
    write(samples)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def router(dut):
    """Features: routers, payload flits. From the header at the first input to the last tail."""
    machine = await start(dut, "valid", "flit")
    samples, layout = [], flit_layout(machine.noc)
    header = struct(DATA_HEADER)
    for target, payload in product(range(len(dut.out_valid)), (1, 4, 8)):
        flits = [{"data": pack(header, {"dst_x": target + 1, "dst_y": 1, "length": payload}),
                  "head": 1}]
        flits += [{"data": 0, "tail": int(n == payload - 1)} for n in range(payload)]
        passed, arrived = 0, None
        while arrived is None:
            assert passed < LIMIT_CYCLES
            dut.valid.value = int(passed < len(flits))
            if passed < len(flits):
                dut.flit.value = pack(layout, flits[passed])
            await RisingEdge(dut.clk)
            await FallingEdge(dut.clk)
            passed += 1
            if int(dut.out_valid.value) & int(dut.out_tail.value) & 1 << target:
                arrived = passed
        samples.append(([target + 1, payload], arrived))
        for _ in range(4):
            await FallingEdge(dut.clk)
    write(samples)
