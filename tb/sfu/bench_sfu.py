"""Random and directed instructions on the SFU, with a buffer and an array in Python.

Reads MACHINE, RESIDUAL_BITS, CASES and STALL from the environment.
"""

import os
import random
from dataclasses import replace

import cocotb

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.sfu.sfu import Sfu
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.sfu.agent import SfuAgent
from ouroboros.tb.sfu.cases import SfuCases, corners, extremes
from ouroboros.tb.sfu.wide import bounds


def new_cases():
    """Source of cases for the machine at hand."""
    machine = load_machine(os.environ["MACHINE"])
    core = replace(machine.core, residual_bits=int(os.environ["RESIDUAL_BITS"]))
    return SfuCases(replace(machine, core=core), random.getrandbits(32))


async def run(dut, cases, some):
    """Configure, and run some cases."""
    agent = SfuAgent(await CocotbDut.started(dut, Sfu(cases.machine)), cases,
                     stall=float(os.environ["STALL"]), rng=seeded())
    await agent.configure()
    await agent.run(some)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_instructions(dut):
    """Each completion finds exactly the buffer that the golden model predicts, in time."""
    cases = new_cases()
    await run(dut, cases, [cases.case() for _ in range(int(os.environ["CASES"]))])


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(make=[extremes, corners, bounds])
async def limits(dut, make):
    """Extremes of the operands of MAC; ties, sums that saturate, ends of the tables and of R2."""
    cases = new_cases()
    if make is bounds and not cases.wide:
        return
    await run(dut, cases, list(make(cases.machine, cases.golden, cases.buffer)))
