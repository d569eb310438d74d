"""A hand-made run: three stages on two cores, two sequences, a trace ring that is full."""

import dataclasses

import pytest

from ouroboros.hw.params.counters import Counter
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.program.program import Program, Role, StageInfo
from ouroboros.sw.runtime.device import CoreCounters, TraceEntry
from ouroboros.sw.runtime.engine import Request
from ouroboros.sw.runtime.job import JobResult

LOADED = 1000
"""Cycle in which the run begins."""


def state(busy, waiting, blocked):
    return {"busy": busy, "waiting": waiting, "blocked": blocked}


def entry(stage, sequence, position, start, end, flags=0):
    return TraceEntry(stage=stage, sequence=sequence, position=position, flags=flags,
                      start=LOADED + start, end=LOADED + end)


@pytest.fixture
def program():
    machine = load_machine("tiny")
    machine = dataclasses.replace(machine, core=dataclasses.replace(machine.core, trace_words=4))
    a, b = (1, 1), (2, 1)
    return Program(
        machine=machine, placement="plain", context=24, sequences=4, vocab_size=23, dim=16,
        images={}, embed=(), logit_slices=(), result_core=a, kv_blocks=2,
        kv_sequence_blocks=2, kv_members=1,
        stages=(StageInfo("embed", "embed", -1, a, 1, 2), StageInfo("l0.qkv", "qkv", 0, b, 0, 3),
                StageInfo("lm.0", "lm", -1, a, 0, 2)),
        roles=(Role(a, ("embed", "lm.0"), 3), Role(b, ("l0.qkv",), 4)))


@pytest.fixture
def result():
    events = {counter.name.lower(): 10 * counter for counter in Counter
              if counter is not Counter.STAGE0}
    requests = [Request(prompt=(1, 5), limit=2, tokens=[7, 8], finished="length",
                        finish_times={0: LOADED + 90, 1: LOADED + 100, 2: LOADED + 190}),
                Request(prompt=(1, 6, 7), limit=2, tokens=[2], finished="stop",
                        finish_times={0: LOADED + 110, 1: LOADED + 120, 2: LOADED + 130})]
    return JobResult(
        requests=requests, tokens=8, run_s=2.0, cycles=200, load_cycles=LOADED,
        counters={(1, 1): CoreCounters(events, [state(30, 5, 0), state(20, 10, 40)]),
                  (2, 1): CoreCounters(events, [state(100, 60, 20), state(0, 0, 0)])},
        # The ring of core (1, 1) is full: its oldest entry ended in cycle 60.
        traces={(1, 1): [entry(1, 0, 1, 40, 60), entry(0, 0, 1, 80, 100), entry(1, 0, 2, 101, 120),
                         entry(1, 0, 3, 180, 185, Flag.FREE | Flag.QUIET)],
                (2, 1): [entry(0, 0, 0, 10, 50), entry(0, 1, 0, 30, 70), entry(0, 0, 2, 121, 150)]})
