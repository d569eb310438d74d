"""Memory images: what is in the cores is what loading through the mesh writes, and runs alike."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Unit
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.packets import entry_flits
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.job import IMAGE, MESH, Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import build_die, emit_die, run_job
from ouroboros.tb.flow.build import build
from ouroboros.tb.mesh.tap import inside

RECORDER = """\
  integer bus = 0;
  reg [8 * 32 - 1:0] bus_name;
  always @(posedge clk) if (config__valid) begin
    $sformat(bus_name, "bus_%0d_%0d.txt", x, y);
    if (!bus) bus = $fopen(bus_name);
    $fdisplay(bus, "%h %h %h", config__unit, config__address, config__data);
    $fflush(bus);
  end
"""
"""Writes down what a core's tables and macros are told, whoever tells them."""


@pytest.fixture
def job(make_checkpoint):
    model = quantise(make_checkpoint(dim=32, hidden_dim=40, n_layers=1, n_heads=4, n_kv_heads=2,
                                     vocab_size=40, seq_len=64))
    return Job(program=map_model(load_machine("tiny"), model, placement="split"), model=model,
               twin=True, observe=False, requests=(
                   RequestSpec(prompt=(5, 9, 17), limit=2, logits="all"),
                   RequestSpec(prompt=(33,), limit=1, logits="all")))


def told(program, core):
    """Entries that the host has for a core, by unit and address."""
    return {(write.unit, address): value for write in program.images[core].writes
            for address, value in enumerate(write.values, write.address)}


def heard(program, core, folder):
    """What came by the core's configuration bus; above an entry its data are undefined."""
    machine, found = program.machine, {}
    for line in (folder / "bus_{}_{}.txt".format(*core)).read_text().split("\n")[:-1]:
        unit, address, data = (int(word, 16) for word in line.split())
        bits = entry_flits(machine, unit) * machine.noc.flit_bits
        found[unit, address] = data & (1 << bits) - 1
    return found


@pytest.mark.sim
@pytest.mark.parametrize("load", [MESH, IMAGE])
def test_every_kind_of_core_is_told_the_same(load, job, tmp_path, monkeypatch):
    """Weights, tables and programs of every core, entry by entry."""
    program, folders = job.program, []
    sources = emit_die(program.machine, twin=True, preload=True)
    sources["core"] = inside("core", sources["core"], RECORDER)
    built = build("die", sources, sim="icarus")
    monkeypatch.setattr("ouroboros.tb.flow.backend.read_taps",
                        lambda directory, machine: folders.append(directory) or [])
    run_job(built, replace(job, load=load, tap=True), lambda *step: None)
    assert {stage.kind for stage in program.stages} == {
        "embed", "qkv", "kv", "proj", "up", "down", "lm"}
    units = set()
    for core in program.images:
        wanted = told(program, core)
        assert heard(program, core, folders[0]) == wanted
        units |= {min(unit, Unit.WEIGHT) for unit, _ in wanted}
    assert units == {Unit.PROGRAM, Unit.STAGE, Unit.CREDIT_LIST, Unit.CREDIT, Unit.DEST,
                     Unit.PARAM, Unit.SILU, Unit.STEP, Unit.KV, Unit.LABEL, Unit.WEIGHT}


@pytest.mark.sim
@pytest.mark.parametrize("sim", ["icarus", "verilator"])
def test_a_run_is_the_same(sim, job):
    """The same logits in the same cycles, token by token, all events of cores alike."""
    job = replace(job, observe=sim == "verilator")
    results = [run_job(build_die(job.program.machine, sim, twin=True, preload=True),
                       replace(job, load=load), lambda *step: None) for load in (MESH, IMAGE)]
    for result in results:
        assert compare(job.model, result.requests) == (True, 3 + 1 + 1 + 0)
    mesh, image = results
    assert image.cycles == mesh.cycles and image.load_cycles < mesh.load_cycles / 2
    assert bool(image.counters) == bool(image.traces) == job.observe
    for core, counters in image.counters.items():
        # Counted since the load, which reads and so takes longer where cores are further away.
        assert {**counters.events, "cycles": 0} == {**mesh.counters[core].events, "cycles": 0}
        assert counters.stages == mesh.counters[core].stages
    later = {mine.start - its.start for core, trace in image.traces.items()
             for mine, its in zip(trace, mesh.traces[core], strict=True)}
    assert len(later) == job.observe
    assert image.traces == {core: [replace(entry, start=entry.start + shift, end=entry.end + shift)
                                   for entry in trace]
                            for shift in later for core, trace in mesh.traces.items()}
