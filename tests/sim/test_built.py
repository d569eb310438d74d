"""A simulated mesh has the cores that packets can reach; leaving out the others changes nothing."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.ways import routers
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import build_die, run_job


@pytest.mark.sim
def test_only_cores_that_packets_reach(make_checkpoint):
    """A small mesh with less than half of its tiles runs in the same cycles as the whole one."""
    tiny = load_machine("tiny")
    wide = replace(tiny, mesh=replace(tiny.mesh, width=6, height=5, die_width=6, die_height=5))
    model = quantise(make_checkpoint(n_layers=1))
    program = map_model(wide, model)
    some = routers(program)
    assert {*program.images} <= some and len(some) < wide.mesh.cores / 2
    results = []
    for built in (None, some):
        job = Job(program=program, model=model, built=built, twin=True, requests=(
            RequestSpec(prompt=(5, 9, 17), limit=2, logits="all"),))
        results.append(run_job(build_die(wide, "verilator", twin=True, built=built), job,
                               lambda *_: None))
        assert compare(model, results[-1].requests) == (True, 4)
    whole, part = results
    # Loading ends by clearing the counters of every core that there is.
    assert part.load_cycles < whole.load_cycles
    assert (part.cycles, part.flit_hops) == (whole.cycles, whole.flit_hops)
    # Reading the others' counters passes here.
    apart = {"cycles": 0, "flit_hops_control": 0}
    for core, counters in part.counters.items():
        assert counters.events | apart == whole.counters[core].events | apart
        assert counters.stages == whole.counters[core].stages
