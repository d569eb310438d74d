"""Cocotb bench that runs a job (``sw.runtime.job``) on a whole machine.

``OUROBOROS_JOB`` names the pickled job, ``OUROBOROS_RESULT`` the file for the pickled result,
``OUROBOROS_PROGRESS`` a file that gets one JSON line for each step, ``OUROBOROS_TOKENS`` a file
that gets every generated token, pickled, at once, ``OUROBOROS_RECORDED`` one for the cycles of the
waves, ``OUROBOROS_STALL`` how often the host does not take a flit (never without). Results of
branches are in files beside the run's (``tb.mesh.branch``).
"""

import json
import os
import pickle
import resource
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Timer

from ouroboros.sw.program.image import images
from ouroboros.sw.runtime.execute import execute
from ouroboros.sw.runtime.job import BRANCH, IMAGE
from ouroboros.sw.runtime.waves import Marking
from ouroboros.tb.lib.link import PERIOD_NS, RESET_CYCLES, SimLink
from ouroboros.tb.mesh.branch import Branches
from ouroboros.tb.mesh.pool import attach
from ouroboros.tb.mesh.preload import AFTER_IMAGE_CYCLES, remove_images, write_images

SILENCE_CYCLES, STAGE_SILENCE_CYCLES = 100_000, 10_000
"""Beyond this for a machine and this for each stage, one that says nothing has lost something."""


def recording(dut, link, task):
    """The link; waves are recorded in the cycles, or of the token, that were asked for."""
    window = task.waves.window
    file = Path(os.environ["OUROBOROS_RECORDED"])
    dut.waves_on.value = 0

    def switch(on):
        dut.waves_on.value = int(on)
        with file.open("a") as recorded:
            recorded.write(f"{link.cycles}\n")

    async def by_cycles():
        for until, on in ((window.first, True), (window.last, False)):
            if until is None:
                return
            # Reset has passed by then.
            if until > link.cycles:
                await Timer((until - link.cycles) * PERIOD_NS, "ns")
            switch(on)

    if window.token is not None:
        return Marking(link, task.program, window.token, switch)
    cocotb.start_soon(by_cycles())
    return link


@cocotb.test()
async def job(dut):
    """The job runs to its end; comparing is the caller's."""
    task = pickle.loads(Path(os.environ["OUROBOROS_JOB"]).read_bytes())
    steps = Path(os.environ["OUROBOROS_PROGRESS"])
    branches = Branches(Path(os.environ["OUROBOROS_RESULT"]),
                        lambda done, total: progress(BRANCH, done, total))

    def progress(what, done, total):
        if branches.mine is not None:
            return
        with steps.open("a") as file:
            file.write(json.dumps([what, done, total]) + "\n")

    tokens = Path(os.environ["OUROBOROS_TOKENS"])

    def record(token):
        if branches.mine is not None:
            return
        with tokens.open("ab") as file:
            pickle.dump(token, file)

    machine = task.program.machine
    here = Path.cwd()
    longest = 0
    if task.load == IMAGE:
        longest = write_images(machine, images(task.program), here)

    async def load(device):
        await ClockCycles(dut.clk, longest + AFTER_IMAGE_CYCLES)
        remove_images(here)
        await device.barrier()

    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    dut.rst.value = 1
    link = SimLink(dut, machine, stall=float(os.environ.get("OUROBOROS_STALL", "0")))
    await ClockCycles(dut.clk, RESET_CYCLES)
    dut.rst.value = 0
    cocotb.start_soon(link.watch(SILENCE_CYCLES
                                 + STAGE_SILENCE_CYCLES * len(task.program.stages)))
    pools = attach(dut, task.program)
    host = link if task.waves is None else recording(dut, link, task)
    with branches:
        try:
            result = await execute(host, task, progress, record, load if longest else None,
                                   branches.part, pools)
        finally:
            if task.waves is not None:
                # Of a run that hangs, too.
                with Path(os.environ["OUROBOROS_RECORDED"]).open("a") as file:
                    file.write(f"end {link.cycles}\n")
        result.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        branches.result.write_bytes(pickle.dumps(result))
