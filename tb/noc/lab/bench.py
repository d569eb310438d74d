"""Runs the jobs of the traffic laboratory: JSON file JOBS in, JSON file OUTCOMES out."""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

from ouroboros.tb.noc.lab.job import Outcome
from ouroboros.tb.noc.lab.node import (
    BINS,
    DROP_HEADER,
    EVERY_NODE,
    HISTOGRAM,
    Count,
    Setting,
    Table,
)

PERIOD_NS = 10
LOOK_CYCLES = 100
SETTLE_CYCLES = 4
READ_CYCLES = 3
"""From a read's address to its value."""


class Lab:
    """The top's ports."""

    def __init__(self, dut, nodes: int):
        self.dut, self.nodes = dut, nodes

    async def cycles(self, count: int) -> None:
        await Timer(count * PERIOD_NS, "ns")

    @property
    def dropped(self) -> int:
        return int(self.dut.dropped.value)

    async def reset(self) -> None:
        dut = self.dut
        dut.rst.value = 1
        for port in ("write__valid", "write__node", "write__table", "write__address",
                     "write__data", "read__valid", "read__node", "read__address"):
            getattr(dut, port).value = 0
        await self.cycles(SETTLE_CYCLES)
        dut.rst.value = 0
        await self.cycles(SETTLE_CYCLES)

    async def write(self, node: int, table: int, address: int, data: int) -> None:
        dut = self.dut
        dut.write__valid.value = 1
        dut.write__node.value = node
        dut.write__table.value = table
        dut.write__address.value = address
        dut.write__data.value = data
        await self.cycles(1)
        dut.write__valid.value = 0

    async def read(self, places: Iterable[tuple[int, int]]) -> list[int]:
        """Values at (node, address); one read per cycle."""
        dut, values = self.dut, []
        dut.read__valid.value = 1
        for node, address in [*places, *[(0, 0)] * READ_CYCLES]:
            dut.read__node.value = node
            dut.read__address.value = address
            await self.cycles(1)
            values.append(int(dut.value.value))
        dut.read__valid.value = 0
        return values[READ_CYCLES - 1:-1]

    async def finished(self, *, until_quiet: bool) -> bool:
        """Whether all copies that shall be waited for have come."""
        names = (Count.QUIET, Count.SENT, Count.RECEIVED) if until_quiet else (
            Count.CAUGHT_UP, Count.MEASURED, Count.DONE)
        ready, sent, come = await self.read((EVERY_NODE, name) for name in names)
        return ready == self.nodes and sent == come + self.dropped * until_quiet


async def perform(lab: Lab, job: dict) -> Outcome:
    await lab.reset()
    for write in job["writes"]:
        await lab.write(*write)
    await lab.write(EVERY_NODE, Table.SETTINGS, Setting.RUN, 1)
    seconds, spent = 0.0, 0
    step = job["run_cycles"]
    while True:
        started = time.process_time()
        await lab.cycles(step)
        seconds += time.process_time() - started
        spent += step
        finished = await lab.finished(until_quiet=job["until_quiet"])
        if finished or spent >= job["run_cycles"] + job["drain_cycles"]:
            break
        step = LOOK_CYCLES
    counts = 1 + max(Count)
    values = await lab.read((node, count) for node in range(lab.nodes) for count in range(counts))
    nodes = [values[n:n + counts] for n in range(0, len(values), counts)]
    histogram = await lab.read((EVERY_NODE, HISTOGRAM + n) for n in range(BINS)) \
        if job["histogram"] else []
    headers = await lab.read((node, DROP_HEADER) for node in range(lab.nodes)) \
        if lab.dropped else []
    latched = [[node, header] for node, header in enumerate(headers) if header]
    return Outcome(nodes=nodes, histogram=histogram, cycles=spent, seconds=seconds,
                   dropped=lab.dropped, finished=finished, latched=latched)


@cocotb.test()
async def jobs(dut):
    lab = Lab(dut, int(os.environ["NODES"]))
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
    await RisingEdge(dut.clk)
    await Timer(1, "ns")
    todo = json.loads(Path(os.environ["JOBS"]).read_text())
    done = [asdict(await perform(lab, job)) for job in todo]
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(done))
