"""Ways of a program's packets, and the routers that they pass."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Port
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.program.errors import ProgramError
from ouroboros.sw.program.image import images
from ouroboros.sw.program.ways import program_ways, routers
from ouroboros.sw.quantise.quantise import quantise

TINY = load_machine("tiny")     # 4 x 3 cores


@pytest.fixture
def model(make_checkpoint):
    return quantise(make_checkpoint(n_layers=1))


def test_the_host_reaches_every_core_and_they_it(model):
    program = map_model(TINY, model)
    ends = {(source, route.target) for source, route in program_ways(program)}
    assert {(TINY.host, core) for core in program.images} <= ends
    assert {(core, TINY.host) for core in program.images} <= ends
    assert {stage.core for stage in program.stages} <= {target for _, target in ends}


def test_routers_are_those_of_the_ways(model):
    """Two cores at the far corner: X first, so the host's packets go along the first row."""
    program = map_model(TINY, model)
    small = replace(program, stages=(), images={(2, 3): program.images[1, 1]})
    assert routers(small) == {(1, 1), (2, 1), (2, 2), (2, 3), (1, 3), (1, 2)}
    [there, back] = program_ways(small)
    assert there[1].links == (((1, 1), Port.EAST), ((2, 1), Port.SOUTH), ((2, 2), Port.SOUTH),
                              ((2, 3), Port.LOCAL))
    assert back[1].target == TINY.host


def test_every_stage_lies_at_a_router(model):
    program = map_model(TINY, model)
    found = routers(program)
    assert {stage.core for stage in program.stages} <= {*program.images} <= found
    assert found <= {*TINY.mesh.coordinates}


def test_detours_have_no_images_and_no_ways_of_their_own(model):
    machine = replace(TINY, noc=replace(TINY.noc, class1_vcs=1))
    routes = Routes(Faults(mesh=machine.mesh, links=frozenset(), routers=frozenset({(2, 1)})))
    program = map_model(machine, model, routes=routes)
    with pytest.raises(ProgramError, match="around dead cores or links"):
        routers(program)
    with pytest.raises(ProgramError, match="program must be loaded through the mesh"):
        images(program)
