"""Runs the jobs of the traffic laboratory: JSON file JOBS in, JSON file OUTCOMES out."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

from tb.noc.lab.job import Outcome
from tb.noc.lab.node import BINS, DROP_HEADER, EVERY_NODE, HISTOGRAM, Count, Setting, Table

PERIOD_NS = 10
LOOK_CYCLES = 100
SETTLE_CYCLES = 6


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

    async def read(self, address: int, node: int = EVERY_NODE) -> int:
        dut = self.dut
        dut.read__valid.value = 1
        dut.read__node.value = node
        dut.read__address.value = address
        await self.cycles(SETTLE_CYCLES)
        return int(dut.value.value)

    async def finished(self, *, until_quiet: bool) -> bool:
        """Whether all copies that shall be waited for have come."""
        ready, sent, come = (Count.QUIET, Count.SENT, Count.RECEIVED) if until_quiet else (
            Count.CAUGHT_UP, Count.MEASURED, Count.DONE)
        if await self.read(ready) != self.nodes:
            return False
        want = await self.read(sent)
        return want - await self.read(come) - self.dropped * until_quiet == 0


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
    nodes = [[await lab.read(count, node) for count in range(1 + max(Count))]
             for node in range(lab.nodes)]
    measured = any(node[Count.DONE] for node in nodes)
    histogram = [await lab.read(HISTOGRAM + n) for n in range(BINS)] if measured else []
    latched = [[node, header] for node in range(lab.nodes)
               if (header := await lab.read(DROP_HEADER, node))] if lab.dropped else []
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
