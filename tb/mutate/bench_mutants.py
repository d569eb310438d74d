"""Any bench on one mutant after the other, in one simulation.

Reads BENCH (module of a bench), MUTANTS (numbers, by commas), SEED_OF_MUTANTS and VERDICTS (a file)
from the environment, beside what the bench reads. Each mutant gets a line of JSON: its number, and
what failed first, or null. A line is there once the mutant begins, without a verdict, so that a
simulator that dies tells on which one. The block itself, mutant 0, comes first: a mutant may take
``SLOWER`` times as long, so that one that hangs costs little.
"""

import importlib
import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.triggers import with_timeout
from cocotb.utils import get_sim_time

from ouroboros.tb.mutate.netlist import CHOICE

BENCH = importlib.import_module(os.environ["BENCH"])
verdicts = Path(os.environ["VERDICTS"])
killed: dict[int, str] = {}
under_way: set[int] = set()
"""Mutants on which a test has begun and not ended: it ran out of time."""
SLOWER = 4
needed_ns: dict[str, float] = {}
"""What each test took on the block itself."""


def _tell(number, **verdict):
    with verdicts.open("a") as file:
        file.write(json.dumps({"mutant": number, **verdict}) + "\n")


def _on(number, test, last):
    """A test of the bench on a mutant; what it raises is a verdict."""
    async def on_mutant(dut):
        if number in killed or number in under_way:
            return
        under_way.add(number)
        _tell(number)
        getattr(dut, CHOICE).value = number
        random.seed(int(os.environ["SEED_OF_MUTANTS"]))
        began = get_sim_time("ns")
        try:
            work = test.func(dut, **test.kwargs)
            if test.name in needed_ns:
                await with_timeout(work, round(SLOWER * needed_ns[test.name]), "ns")
            else:
                await work
                needed_ns[test.name] = get_sim_time("ns") - began
        except Exception as error:
            what = str(error).splitlines() or ["the block itself is done in a quarter of the time"]
            killed[number] = f"{test.name}: {type(error).__name__}: {what[0]}"[:200]
            _tell(number, killed=killed[number])
        else:
            if last:
                _tell(number, killed=None)
        under_way.discard(number)

    return on_mutant


def _tests():
    return [test for name, item in vars(BENCH).items() if hasattr(item, "generate_tests")
            for test in item.generate_tests()]


for place, chosen in enumerate(map(int, os.environ["MUTANTS"].split(","))):
    tests = _tests()
    for n, one in enumerate(tests):
        timeout, unit = one.timeout
        name = f"run_{place}_mutant_{chosen}_{n}"
        globals()[name] = cocotb.test(timeout_time=timeout, timeout_unit=unit, name=name)(
            _on(chosen, one, one is tests[-1]))
