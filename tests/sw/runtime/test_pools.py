"""K and V on the wafer, in a pool at its edge, and split, on the golden machine: the same bits."""

import asyncio
import random
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.pim import PimParams
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.plans import plan_layout
from ouroboros.sw.block.pool import PoolPlan, pool_rank
from ouroboros.sw.golden.core import CoreError
from ouroboros.sw.golden.machine import GoldenLink, GoldenMachine
from ouroboros.sw.golden.pool import Rank
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.program.packets import read_packet
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.execute import execute
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.pools import PoolError
from ouroboros.sw.runtime.service import backend, compare

EAST, SOUTH = (5, 2), (2, 4)
SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 40, "seq_len": 64}
CONTEXT = 64
MODELS = {}


def with_ports(*ports):
    tiny = load_machine("tiny")
    return replace(tiny, mesh=replace(tiny.mesh, more_hosts=ports))


@pytest.fixture
def model(make_checkpoint):
    if not MODELS:
        MODELS["tiny"] = quantise(make_checkpoint(**SHAPE))
    return MODELS["tiny"]


def place(model, base, kv, *, ports=(EAST,), rows=64, rank=None):
    machine = with_ports(*ports)
    plan = plan_layout(machine, model.shape, base, machine.mesh.cores)
    if kv != "wafer":
        plan = replace(plan, members=0 if kv == "tier" else plan.members, pool=PoolPlan(
            ports=ports, alone=kv == "tier",
            rank=pool_rank(model.shape.head_dim, CONTEXT, rows, rank)))
    return map_model(machine, model, placement=plan, context=CONTEXT)


def job(model, program, lengths=(37, 2), limit=3, **changes):
    rng = np.random.default_rng(7)
    return Job(program=program, model=model, observe=False, requests=tuple(
        RequestSpec(prompt=tuple(rng.integers(3, 40, n).tolist()), limit=limit, logits="all")
        for n in lengths), **changes)


def serve(work, disorder=None):
    link = GoldenLink(work.program.machine, pools=work.program.pools, disorder=disorder)
    result = asyncio.run(execute(link, work, lambda *_: None, pools=link.golden.pools))
    return result, link


def exact(work, result):
    equal, vectors = compare(work.model, result.requests)
    assert equal
    assert vectors == sum(len(spec.prompt) + spec.limit - 1 for spec in work.requests)


@pytest.mark.parametrize(("base", "kv", "members"), [
    ("plain", "split", 2), ("plain", "tier", 1), ("split", "split", 3), ("split", "tier", 1)])
def test_a_pool_is_a_member(model, base, kv, members):
    """Three blocks of a sequence, and one of another: every logit is the golden decoder's."""
    program = place(model, base, kv)
    assert program.kv_members == members
    work = job(model, program, measured=True)
    result, link = serve(work)
    exact(work, result)
    end = link.golden.pools[EAST]
    assert end.rank.clocks > 0
    assert end.rank.used == 0, "what was kept has been freed"
    most = max(sum(at.pool) for at in result.where)
    kept = sum(len(spec.prompt) + spec.limit - 1 for spec in work.requests)
    assert most == kept if kv == "tier" else 0 < most < kept
    assert max(sum(at.wafer) + sum(at.pool) for at in result.where) == kept
    assert all(n >= 0 for at in result.where for n in at.wafer)


def test_projections_do_not_know(model):
    """What the other stages are told is the same, but for who is credited and sent to."""
    bare, pooled = (place(model, "split", kv) for kv in ("wafer", "tier"))
    names = [stage.name for stage in bare.stages if ".kv" not in stage.name]
    assert [stage.name for stage in pooled.stages] == names
    assert [stage.info.name for stage in pooled.pools] == ["l0.kv.0", "l0.kv.1"]
    assert {stage.info.core for stage in pooled.pools} == {EAST}


@pytest.mark.parametrize("seed", range(3))
def test_in_any_order(model, seed):
    """Packets of pools and cores overtake each other as hardware allows."""
    work = job(model, place(model, "split", "split"), lengths=(18, 2), limit=2)
    result, _ = serve(work, disorder=random.Random(seed))
    exact(work, result)


def test_two_pools_share_the_groups(model):
    program = place(model, "split", "tier", ports=(EAST, SOUTH))
    assert sorted(stage.info.core for stage in program.pools) == [SOUTH, EAST]
    work = job(model, program, lengths=(18,))
    result, link = serve(work)
    exact(work, result)
    assert all(end.rank.clocks > 0 for end in link.golden.pools.values())


def test_a_full_pool_is_as_a_full_core(model):
    """Rows for one sequence, but blocks for two: the second is refused there, and comes again."""
    one = PimParams(chips=1, head_chips=1, head_dim=8)
    program = place(model, "plain", "tier", rows=4, rank=one)
    assert Rank(pool_rank(model.shape.head_dim, CONTEXT, 4, one)).heads == 2
    assert program.kv_blocks == 4
    work = job(model, program, lengths=(10, 12), limit=2)
    result, link = serve(work)
    exact(work, result)
    assert sum(request.preemptions for request in result.requests) > 0
    assert link.golden.pools[EAST].rank.used == 0


@pytest.mark.parametrize("kv", ["split", "tier"])
def test_a_pool_that_is_lost(model, kv):
    """All of a sequence is computed again on the wafer; its tokens are those it would have got."""
    work = job(model, place(model, "plain", kv), measured=True, pool_lost=20,
               without=place(model, "plain", "wafer"))
    result, link = serve(work)
    exact(work, result)
    loss = result.pool_loss
    assert loss is not None
    assert loss.time >= 20
    assert loss.recomputed >= 17
    assert loss.refused is None
    after = [at for at in result.where if at.time > loss.time]
    assert max(sum(at.wafer) for at in after) == 37 + 2 + 2 * 2
    assert not any(any(at.pool) for at in after)
    assert not link.golden.pools


def test_a_lost_pool_leaves_what_had_ended(model):
    work = job(model, place(model, "plain", "tier"), lengths=(2, 30), limit=2, measured=True,
               pool_lost=31, without=place(model, "plain", "wafer"))
    result, _ = serve(work)
    exact(work, result)
    assert result.pool_loss is not None
    assert result.pool_loss.finished == 1


def test_without_room_on_the_wafer_they_are_refused(model):
    work = job(model, place(model, "plain", "tier"), lengths=(2, 30), limit=2, measured=True,
               pool_lost=31)
    result, _ = serve(work)
    assert [request.finished for request in result.requests] == ["length", "refused"]
    assert compare(model, result.requests)[0]
    assert "no room" in result.pool_loss.refused


def test_a_loss_after_the_end_does_not_come(model):
    work = job(model, place(model, "plain", "tier"), lengths=(2,), measured=True,
               pool_lost=1000)
    result, _ = serve(work)
    exact(work, result)
    assert result.pool_loss is None


def test_what_is_refused(model):
    machine = with_ports(EAST)
    plan = plan_layout(machine, model.shape, "plain", 12)
    rank = pool_rank(model.shape.head_dim, CONTEXT, 64)

    def with_pool(**changes):
        pool = PoolPlan(**{"ports": (EAST,), "rank": rank, "alone": True} | changes)
        return map_model(machine, model, placement=replace(plan, members=0, pool=pool))

    with pytest.raises(BlockError, match=r"one of the edge ports mesh.more_hosts .*, \[\[5, 2\]\],"
                                         r" not \[2, 4\]"):
        with_pool(ports=(SOUTH,))
    with pytest.raises(BlockError, match=r"a port each, not two at \[5, 2\]"):
        with_pool(ports=(EAST, EAST))
    with pytest.raises(BlockError, match="one port at least"):
        with_pool(ports=())
    with pytest.raises(BlockError, match=r"pool at port \(5, 2\) must hold a sequence: .* take "
                                         r"[0-9]+ rows a head, and its rank has 2 rows"):
        with_pool(rank=replace(rank, context=1 << 16, rows=2))
    with pytest.raises(BlockError, match=r"context must be at most 32 .*pool's rank.*, not 33"):
        map_model(machine, model, context=33, placement=replace(plan, members=0, pool=PoolPlan(
            ports=(EAST,), rank=replace(rank, context=32), alone=True)))
    with pytest.raises(BlockError, match="rank of a pool for heads of dimension 24"):
        pool_rank(24, CONTEXT, 64)
    with pytest.raises(MapperError, match="pools must be at a machine on which nothing is dead"):
        map_model(machine, model, routes=Routes(Faults(mesh=machine.mesh)), placement=replace(
            plan, members=0, pool=PoolPlan(ports=(EAST,), rank=rank, alone=True)))


def test_more_groups_than_packets_can_name(make_checkpoint):
    """17 blocks of one KV head, and one pool."""
    deep = quantise(make_checkpoint(**SHAPE | {"n_layers": 17, "n_kv_heads": 1}))
    machine = with_ports(EAST)
    machine = replace(machine, mesh=replace(machine.mesh, width=70, die_width=70,
                                            more_hosts=((71, 2),)))
    plan = plan_layout(machine, deep.shape, "plain", machine.mesh.cores)
    pool = PoolPlan(ports=((71, 2),), rank=pool_rank(8, CONTEXT, 64), alone=True)
    with pytest.raises(BlockError, match="at most 16 KV groups, which packets can name, not 17: "
                                         "attach more pools"):
        map_model(machine, deep, placement=replace(plan, members=0, pool=pool))


def test_jobs_that_cannot_be(model):
    program = place(model, "plain", "tier")
    with pytest.raises(PoolError, match=r"pools of the program, at \[\(5, 2\)\], must be those of "
                                        r"the machine, at \[\]"):
        asyncio.run(execute(GoldenLink(program.machine), job(model, program), lambda *_: None))
    with pytest.raises(PoolError, match="for pools to be lost"):
        backend("golden")(job(model, program, pool_lost=3), lambda *_: None)
    with pytest.raises(PoolError, match="without faults and taps"):
        backend("golden")(job(model, program, tap=True), lambda *_: None)


def test_packets_that_a_pool_does_not_take(model):
    program = place(model, "plain", "tier")
    machine = GoldenMachine(program.machine, pools=program.pools)
    with pytest.raises(CoreError, match=r"pool at \(5, 2\) must be data for one of its stages "
                                        r"\[0, 1\]"):
        machine.send(read_packet(program.machine, src=program.machine.host, dst=EAST, unit=0))
    with pytest.raises(CoreError, match="must name a core, a pool or the host's port"):
        GoldenMachine(program.machine).send(read_packet(
            program.machine, src=program.machine.host, dst=EAST, unit=0))
