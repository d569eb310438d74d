"""What big machines are simulated with, and what that takes."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.ways import routers
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.job import IMAGE, MESH, Job
from ouroboros.sw.runtime.scale import (
    BIG_CORES,
    NeedError,
    Needs,
    built_cores,
    is_big,
    load_by,
    needs,
)

TINY = load_machine("tiny")
BIG = replace(TINY, mesh=replace(TINY.mesh, width=13, height=5, die_width=13, die_height=5))


@pytest.fixture
def small_model(make_checkpoint):
    return quantise(make_checkpoint(n_layers=1))


def test_what_is_big():
    assert not is_big(TINY) and is_big(BIG) and BIG.mesh.cores == BIG_CORES + 1
    assert is_big(load_machine("die")) and not is_big(load_machine("small"))


def test_a_big_mesh_is_built_where_packets_pass_and_loaded_by_images(small_model):
    small, big = map_model(TINY, small_model), map_model(BIG, small_model)
    assert built_cores(small) is None and load_by(small, None) == MESH
    assert built_cores(big) == routers(big) and len(routers(big)) < 20
    assert load_by(big, None) == load_by(small, IMAGE) == IMAGE
    assert load_by(big, MESH) == MESH


def test_needs_grow_with_what_is_built(small_model):
    """A weight of a twin takes four bytes."""
    program = map_model(BIG, small_model)
    some, all_ = (needs(Job(program=replace(program, machine=machine), model=small_model,
                            built=built, requests=()))
                  for machine in (replace(BIG, cim=replace(BIG.cim, rows=2048, outputs=1 << 16)),)
                  for built in (routers(program), None))
    tile = BIG.core.macros * 2048 * (1 << 16) * 4
    apart = BIG.mesh.cores - len(routers(program))
    assert apart * tile < all_.memory_bytes - some.memory_bytes < 1.3 * apart * tile
    assert some.memory_bytes > 2e9 and 0 < some.disk_bytes < some.disk_free_bytes + 1e12


@pytest.mark.parametrize(("memory", "disk", "message"), [
    (9.0, 1.0, "free memory must be 9.0 GB for this simulation, not 8.0 GB"),
    (1.0, 3.0, "free disk must be 3.0 GB for this simulation, not 2.0 GB")])
def test_too_little_is_refused(memory, disk, message):
    found = Needs(memory_bytes=int(memory * 1e9), disk_bytes=int(disk * 1e9),
                  memory_free_bytes=8_000_000_000, disk_free_bytes=2_000_000_000)
    with pytest.raises(NeedError, match=message):
        found.check()
    replace(found, memory_bytes=1, disk_bytes=1).check()
