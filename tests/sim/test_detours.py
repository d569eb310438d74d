"""Programs around dead cores and links on RTL: same logits, and nothing is dropped anywhere."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Unit
from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.noc.routes.faults import Faults, random_faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare, serve
from ouroboros.tb.flow.backend import verilator

TINY_SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
              "vocab_size": 40, "seq_len": 64}


@pytest.mark.sim
def test_two_dead_routers_and_two_dead_links(make_checkpoint):
    """Seed 20: waypoints; 21: the routers' tables too; then the host's rows by a waypoint."""
    machine = load_machine("tiny")
    machine = replace(machine, noc=replace(machine.noc, class1_vcs=1, class2_vcs=2))
    model = quantise(make_checkpoint(**TINY_SHAPE))
    mesh, every = machine.mesh, {Unit.ROUTER, Unit.DIES, Unit.CORES}
    for faults, units in (
            (random_faults(mesh, 2, 2, 20), {Unit.ROUTER}), (random_faults(mesh, 2, 2, 21), every),
            (Faults(mesh=mesh, links=frozenset({((1, 1), (2, 1))})), {Unit.ROUTER})):
        routes = Routes(faults)
        program = map_model(machine, model, placement="split", routes=routes)
        assert {write.unit for _, write in program.detours.writes} == units
        result = verilator(
            Job(program=program, model=model, twin=True, requests=(
                RequestSpec(prompt=(1, 9, 3), limit=3, logits="all"),
                RequestSpec(prompt=(1, 30), limit=2, logits="all"))), lambda *_: None)
        assert compare(model, result.requests) == (True, 5 + 3)
        assert result.errors == 0


@pytest.mark.slow
def test_the_shipped_model():
    source, machine = open_model(SHIPPED, TOKENIZER), load_machine("detour")
    faults = random_faults(machine.mesh, 2, 2, seed=0)
    dead = [x - 1 + machine.mesh.width * (y - 1) for x, y in faults.routers]
    for layout in ("plain", "split"):
        whole, around = (
            serve(source, machine, ["Once upon a time", "One day"], tokens=3, on="verilator",
                  logits="all", placement=layout, twin=True, **options)
            for options in ({}, {"defects": dead, "dead_links": [*faults.links]}))
        assert not faults.routers & around.program.images.keys()
        assert faults.routers & whole.program.images.keys()
        ports = {at: write.values for at, write in around.program.detours.writes}
        assert all(one in ports for link in faults.links for one in link)
        assert whole.bit_exact and around.bit_exact
        assert whole.summary()["logits"] == around.summary()["logits"]
        assert whole.result.errors == around.result.errors == 0
