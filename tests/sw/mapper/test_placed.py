"""Traffic of placed programs, and programs placed by files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.mapper.grid import core_at, machine_grid, place_of
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.mapper.placed import place_model
from ouroboros.sw.mapper.traffic import flit_hops, host_tiles, program_traffic
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.placement import save
from ouroboros.sw.program.image import Token
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.golden import run
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare


def logits_are_exact(program, model):
    requests = (RequestSpec(prompt=(1, 9, 3), limit=2, logits="all"),
                RequestSpec(prompt=(1,), limit=2, logits="all"))
    result = run(Job(program=program, model=model, requests=requests), lambda *_: None)
    exact, vectors = compare(model, result.requests)
    assert vectors == 4 + 2
    return exact


def test_grid(tiny):
    grid = machine_grid(tiny, (7, 3, 7))
    assert (grid.width, grid.height, grid.defects) == (4, 3, (3, 7))
    assert [place_of(grid, core) for core in (0, 3, 4, 11)] == [(1, 1), (4, 1), (1, 2), (4, 3)]
    assert [core_at(grid, place_of(grid, core)) for core in range(12)] == [*range(12)]


def test_traffic_by_hand(tiny, model):
    """Plain: LM head x 2, QKV, two KV groups, projection, up/gate, down. A flit is 16 bytes."""
    found = program_traffic(map_model(tiny, model))
    names = {stage: n for n, stages in enumerate(found.tile_names) for stage in stages}
    volume = {(a, b): v for a, b, v in found.edges.tolist()}

    def between(first, second):
        return volume.get(tuple(sorted((names[first], names[second]))), 0)

    # h8: 32 bytes are 2 flits and a header; RoPE: 8 int16 are 1 and a header; the credit back.
    assert between("embed", "l0.qkv") == 3 + 2 + 1
    # x: 32 int16, 4 flits; RoPE; a credit.
    assert between("embed", "l0.proj") == 5 + 2 + 1
    # q of two heads, k, v of one; each head padded to a word of 16 bytes; a credit.
    assert between("l0.qkv", "l0.kv.0") == 3 + 2 + 2 + 1
    # Two heads of o8, 16 bytes each. Projection's slots are the embedding's to give.
    assert between("l0.kv.0", "l0.proj") == 3
    assert between("l0.proj", "l0.up") == 3 + 1
    # 44 hidden channels are 3 flits; slots of down are reserved by the projection.
    assert between("l0.up", "l0.down") == 4
    # x and RoPE do not pass the last norm; the LM head's slots are down's.
    assert between("l0.proj", "l0.down") == 5 + 2 + 1
    assert between("l0.down", "lm.0") == between("l0.down", "lm.1") == 3 + 1
    assert between("l0.kv.0", "l0.kv.1") == between("l0.qkv", "l0.up") == 0
    assert found.unit_bytes == 16
    # A multicast is one net, and its edges are one for each receiver.
    [net] = [net for net in found.nets
             if net.sinks == tuple(sorted((names["lm.0"], names["lm.1"])))]
    assert (net.source, net.volume_bytes) == (names["l0.down"], 3 * 16)
    assert host_tiles(map_model(tiny, model)) == [names["embed"], names["lm.1"]]


@pytest.mark.parametrize("layout", ["plain", "split"])
def test_traffic_does_not_depend_on_places_but_hops_do(tiny, model, shuffle, layout):
    program = map_model(tiny, model, placement=layout)
    instance = program_traffic(program)
    placed = shuffle(instance)
    moved = map_model(tiny, model, placement=layout,
                      cores=[place_of(instance.grid, core) for core in placed.core])
    assert program_traffic(moved).digest == instance.digest
    assert program_traffic(moved).nets == instance.nets
    assert [role.stages for role in moved.roles] == [role.stages for role in program.roles]
    assert flit_hops(moved, Token(5)) != flit_hops(program, Token(5))


@pytest.mark.parametrize("layout", ["plain", "split"])
@pytest.mark.parametrize("seed", [0, 1])
def test_logits_of_any_placement(tiny, model, shuffle, tmp_path, layout, seed):
    placed = shuffle(program_traffic(map_model(tiny, model, placement=layout)), seed)
    save(placed, tmp_path / "p.json")
    program = place_model(tiny, model, placement=str(tmp_path / "p.json"))
    assert program.placement == f"{layout} placed by p.json"
    assert program_traffic(program).name == placed.instance_name
    assert [core_at(placed.grid, role.core) for role in program.roles] == placed.core.tolist()
    assert logits_are_exact(program, model)


def test_layouts_by_name(tiny, model):
    assert place_model(tiny, model, placement="split").images.keys() == map_model(
        tiny, model, placement="split").images.keys()


def spoil(path, **changes):
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | changes))


def test_refusals(tiny, model, make_checkpoint, shuffle, tmp_path):
    instance = program_traffic(map_model(tiny, model))
    path = tmp_path / "p.json"

    def refused(machine, model, error, message, **options):
        with pytest.raises(error, match=message):
            place_model(machine, model, placement=str(path), **options)

    save(shuffle(instance), path)
    refused(load_machine("small"), model, OuroborosError, "made for another machine: width is 4, "
            "this machine's 7")
    refused(tiny, model, OuroborosError,
            "made for another defect map: 1 cores differ, first core 11", defects=(11,))
    other = quantise(make_checkpoint(dim=32, hidden_dim=60, n_layers=1, n_heads=4, n_kv_heads=2,
                                     vocab_size=120, seq_len=64))
    refused(tiny, other, OuroborosError, "made for other traffic .*place again")
    spoil(path, core=[0] * instance.tiles)
    refused(tiny, model, OuroborosError, "tiles 0 and 1 are both on core 0")
    spoil(path, core=[*range(instance.tiles)])
    refused(tiny, model, OuroborosError, "key 'cost' must be")
    spoil(path, core=[*range(instance.tiles)], instance_name="llama-13b")
    refused(tiny, model, MapperError, "made for instance 'llama-13b', which is no layout")
    path.write_text("{")
    refused(tiny, model, OuroborosError, "not JSON")
    path.unlink()
    with pytest.raises(OuroborosError, match="cannot be read"):
        place_model(tiny, model, placement=str(path))
    with pytest.raises(MapperError, match=r"placement must be one of .* or a path to a .json file, "
                                          r"not 'snake'"):
        place_model(tiny, model, placement="snake")


@pytest.mark.parametrize(("cores", "message"), [
    ([(1, 1)], "cores for placement 'plain' must be 8, not 1"),
    ([(n, 1) for n in range(1, 9)],
     r"cores must lie in the 4 x 3 mesh of machine 'tiny', not at \(5, 1\)"),
    ([(1, 1)] * 8, r"cores must each be used once, not \(1, 1\) twice")])
def test_bad_cores(tiny, model, cores, message):
    with pytest.raises(OuroborosError, match=message):
        map_model(tiny, model, cores=cores)


def test_dead_cores(tiny, model, shuffle, tmp_path):
    """Neither on a dead core nor through its router."""
    with pytest.raises(MapperError, match=r"must use no dead core, not \(2, 1\)"):
        place_model(tiny, model, defects=(1,))
    # On a wider mesh the last column is free; nothing passes it.
    wide = replace(tiny, mesh=replace(tiny.mesh, width=5, die_width=5, height=2, die_height=2))
    instance = program_traffic(map_model(wide, model), machine_grid(wide, (9,)))
    cores = np.arange(instance.tiles)
    placed = replace(shuffle(instance), core=cores, cost=cost(instance, cores))
    save(placed, tmp_path / "p.json")
    program = place_model(wide, model, placement=str(tmp_path / "p.json"), defects=(9,))
    assert logits_are_exact(program, model)
    instance = program_traffic(map_model(wide, model), machine_grid(wide, (2,)))
    cores = np.array([0, 1, 3, 4, 5, 6, 7, 8])
    placed = replace(shuffle(instance), core=cores, cost=cost(instance, cores))
    save(placed, tmp_path / "p.json")
    with pytest.raises(MapperError, match=r"must pass no dead core, not \(3, 1\)"):
        place_model(wide, model, placement=str(tmp_path / "p.json"), defects=(2,))


def test_files_on_networks_with_ways_around(model, shuffle, tmp_path):
    """Any live cores will do then, also those behind dead ones and links."""
    machine, dead = load_machine("detour"), (2, 24)
    placed = shuffle(program_traffic(map_model(machine, model), machine_grid(machine, dead)))
    save(placed, tmp_path / "p.json")
    program = place_model(machine, model, placement=str(tmp_path / "p.json"), defects=dead,
                          dead_links=[((1, 1), (2, 1)), ((4, 3), (5, 3))])
    assert [core_at(placed.grid, role.core) for role in program.roles] == placed.core.tolist()
    assert {core: write.values for core, write in program.detours.writes}[1, 1] == (2,)
    assert logits_are_exact(program, model)
