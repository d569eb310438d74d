"""Cocotb bench that runs a job (``sw.runtime.job``) on a whole machine.

``OUROBOROS_JOB`` names the pickled job, ``OUROBOROS_RESULT`` the file for the pickled result,
``OUROBOROS_PROGRESS`` a file that gets one JSON line for each step, ``OUROBOROS_TOKENS`` a file
that gets every generated token, pickled, at once, ``OUROBOROS_STALL`` how often the host does not
take a flit (never without).
"""

import json
import os
import pickle
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from ouroboros.sw.runtime.job import execute
from ouroboros.tb.lib.link import PERIOD_NS, SimLink

RESET_CYCLES = 4
SILENCE_CYCLES = 100_000
"""Beyond this, a machine that says nothing has lost something."""


@cocotb.test()
async def job(dut):
    """The job runs to its end; comparing is the caller's."""
    task = pickle.loads(Path(os.environ["OUROBOROS_JOB"]).read_bytes())
    steps = Path(os.environ["OUROBOROS_PROGRESS"])

    def progress(what, done, total):
        with steps.open("a") as file:
            file.write(json.dumps([what, done, total]) + "\n")

    tokens = Path(os.environ["OUROBOROS_TOKENS"])

    def record(token):
        with tokens.open("ab") as file:
            pickle.dump(token, file)

    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    dut.rst.value = 1
    machine = task.program.machine
    link = SimLink(dut, machine, stall=float(os.environ.get("OUROBOROS_STALL", "0")))
    await ClockCycles(dut.clk, RESET_CYCLES)
    dut.rst.value = 0
    cocotb.start_soon(link.watch(SILENCE_CYCLES))
    result = await execute(link, task, progress, record)
    Path(os.environ["OUROBOROS_RESULT"]).write_bytes(pickle.dumps(result))
