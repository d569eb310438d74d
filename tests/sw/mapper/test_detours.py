"""Programs around dead cores and links: same logits, on a golden machine that checks every way."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.isa import Op, disassemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, DEST_ENTRY, Port, Unit
from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.golden.core import CoreError
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.routes.faults import Faults, random_faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.program.image import read_stages
from ouroboros.sw.quantise.source import open_model

PROMPTS = [[1, 9, 3], [1, 30]]
SEED = 0
"""Of two dead routers and two dead links on the machine detour."""
TABLE_SEED = 21
"""The same on the machine tiny, such that some ways need the routers' tables."""


@pytest.fixture(scope="module")
def tales():
    return open_model(SHIPPED, TOKENIZER).quantised()


def tables():
    machine = load_machine("tiny")
    return replace(machine, noc=replace(machine.noc, class1_vcs=1, class2_vcs=2))


def entries(program, unit, fmt):
    return [fmt.unpack(value) for image in program.images.values() for write in image.writes
            if write.unit == unit for value in write.values]


def sends(program):
    """SENDs by whether they take credits."""
    return Counter(fields["acquire"] for image in program.images.values()
                   for write in image.writes if write.unit == Unit.PROGRAM
                   for op, fields in map(disassemble, write.values) if op is Op.SEND)


def logits(served):
    requests, _ = served
    return [[request.vectors[n] for n in sorted(request.vectors)] for request in requests]


def check(served, model):
    for prompt, vectors in zip(PROMPTS, logits(served), strict=True):
        assert np.array_equal(vectors, IntegerDecoder(model).prefill(0, prompt))


@pytest.mark.long
@pytest.mark.parametrize("placement", ["plain", "split"])
def test_the_shipped_model_with_two_dead_routers_and_two_dead_links(tales, serve, placement):
    machine = load_machine("detour")
    faults = random_faults(machine.mesh, 2, 2, SEED)
    assert (len(faults.routers), len(faults.links)) == (2, 2)
    whole = map_model(machine, tales, placement=placement)
    program = map_model(machine, tales, placement=placement, routes=Routes(faults))
    assert not faults.routers & program.images.keys()
    assert len(program.roles) == len(whole.roles)
    # XY ways of data, credits and the host are cut, and so are multicast trees.
    for unit, fmt in ((Unit.DEST, DEST_ENTRY), (Unit.CREDIT_LIST, CREDIT_ENTRY)):
        assert any(entry["way_x"] for entry in entries(program, unit, fmt))
    assert any(program.way_there(core) != (0, 0) for core in program.images)
    assert any(program.way_back(core) != (0, 0) for core in program.images)
    assert sends(program)[0] > sends(whole)[0] and sends(program)[1] == sends(whole)[1]
    for seed in (None, 5):
        check(serve(program, tales, PROMPTS, seed=seed), tales)


def test_xy_ways_end_at_dead_ports(tales, serve):
    """The golden machine follows every packet, so the runs above mean something."""
    machine = load_machine("detour")
    program = map_model(machine, tales, routes=Routes(random_faults(machine.mesh, 2, 2, SEED)))
    detours = program.detours
    blind = replace(map_model(machine, tales), detours=replace(
        detours, there=dict.fromkeys(machine.mesh.coordinates, (0, 0)),
        writes=tuple((core, write) for core, write in detours.writes
                     if detours.there[core] == (0, 0))))
    with pytest.raises(CoreError, match="must pass no dead port: it ends at router"):
        serve(blind, tales, PROMPTS)


@pytest.mark.parametrize("placement", ["plain", "split"])
def test_ways_by_tables(make_model, serve, placement):
    machine, model = tables(), make_model()
    routes = Routes(random_faults(machine.mesh, 2, 2, TABLE_SEED))
    program = map_model(machine, model, placement=placement, routes=routes)
    assert {write.unit for _, write in program.detours.writes} == {
        Unit.ROUTER, Unit.DIES, Unit.CORES}
    assert any(entry["vc"] == machine.noc.transit_vc
               for entry in entries(program, Unit.DEST, DEST_ENTRY)) or any(
        entry["table"] for entry in entries(program, Unit.CREDIT_LIST, CREDIT_ENTRY))
    check(serve(program, model, PROMPTS, seed=3), model)


def test_tokens_go_in_by_a_waypoint(make_model, serve):
    """The second slice of the embedding lies behind a dead link."""
    machine, model = tables(), make_model()
    program = map_model(machine, model, placement="split", routes=Routes(Faults(
        mesh=machine.mesh, links=frozenset({((1, 1), (2, 1))}))))
    assert [program.way_there(target.core) for target in program.embed] == [(0, 0), (1, 2)]
    assert {(at, write.unit, write.values) for at, write in program.detours.writes} == {
        ((1, 1), Unit.ROUTER, (1 << Port.EAST,)), ((2, 1), Unit.ROUTER, (1 << Port.WEST,))}
    check(serve(program, model, PROMPTS), model)


@pytest.mark.parametrize("placement", ["plain", "split"])
def test_nothing_dead_is_the_program_as_it_was(make_model, placement):
    machine, model = tables(), make_model()
    program = map_model(machine, model, placement=placement,
                        routes=Routes(Faults(mesh=machine.mesh)))
    assert program.images == map_model(machine, model, placement=placement).images
    assert program.detours.writes == ()


@pytest.mark.parametrize(("faults", "noc", "error", "message"), [
    ({"routers": {(1, 1)}}, {}, NocError,
     "the host's port must be alive, but edge port (0, 1) is beside core (1, 1), which is dead"),
    ({"routers": {(2, 1)}}, {"class1_vcs": 0}, MapperError,
     ("must go around dead cores or links on class 1: noc.class1_vcs of machine 'tiny' must be at "
      "least 1, not 0")),
    ({"routers": {(2, 1), (2, 2), (2, 3)}}, {}, NocError, "mesh must be in one piece"),
])
def test_refusals(make_model, faults, noc, error, message):
    machine = tables()
    machine = replace(machine, noc=replace(machine.noc, **noc))
    with pytest.raises(error) as caught:
        map_model(machine, make_model(), routes=Routes(Faults(
            mesh=machine.mesh, **{name: frozenset(dead) for name, dead in faults.items()})))
    assert message in str(caught.value)


def test_tables_missing(make_model):
    machine = tables()
    machine = replace(machine, noc=replace(machine.noc, class2_vcs=0))
    with pytest.raises(MapperError, match=r"on class 2: noc.class2_vcs of machine 'tiny' must be "
                                          r"at least 2, not 0"):
        map_model(machine, make_model(), routes=Routes(random_faults(machine.mesh, 2, 2,
                                                                     TABLE_SEED)))


def test_tables_that_only_tables_lead_to(make_model):
    machine = tables()
    with pytest.raises(MapperError, match="must need no tables in the routers"):
        map_model(machine, make_model(), routes=Routes(random_faults(machine.mesh, 2, 2, 3)))


def test_routes_of_another_mesh(make_model):
    with pytest.raises(MapperError, match="routes must be made for the mesh of machine 'tiny'"):
        map_model(tables(), make_model(), routes=Routes(Faults(mesh=load_machine("small").mesh)))


def test_dead_cores_are_not_used(make_model):
    machine, model = tables(), make_model()
    cores = [role.core for role in map_model(machine, model).roles]
    with pytest.raises(BlockError, match=r"cores must be alive, not \(4, 1\)"):
        map_model(machine, model, cores=cores, routes=Routes(Faults(
            mesh=machine.mesh, routers=frozenset({(4, 1)}))))
    with pytest.raises(BlockError, match="has 7 live cores; placement 'plain' of 2 layers takes"):
        map_model(machine, make_model(n_layers=2), routes=Routes(Faults(
            mesh=machine.mesh, routers=frozenset({(4, y) for y in (1, 2, 3)} | {(3, 3), (3, 2)}))))


def test_no_predictions_of_detours(tales):
    machine = load_machine("detour")
    program = map_model(machine, tales, routes=Routes(random_faults(machine.mesh, 2, 2, SEED)))
    with pytest.raises(OuroborosError, match="only XY ways are modelled"):
        read_stages(program)
    last = Routes(Faults(mesh=machine.mesh, routers=frozenset({(7, 6)})))
    read_stages(map_model(machine, tales, routes=last))
