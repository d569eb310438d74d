import json

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.timing.network import crossing_cycles
from ouroboros.sw.cli.main import cli
from ouroboros.sw.noc.experiment.options import experiment
from ouroboros.sw.noc.experiment.traffic import generate
from ouroboros.sw.noc.routes.faults import random_faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.tb.noc.lab.judge import wrong_around, wrong_at_zero_load, wrong_delivery, wrong_drops
from ouroboros.tb.noc.lab.lab import build_of, job_of, perform, report
from ouroboros.tb.noc.lab.mixed import Mix, dead_port_job, fault_job, mixed_job
from ouroboros.tb.noc.lab.node import Count
from ouroboros.tb.noc.lab.pairs import all_pairs

pytestmark = pytest.mark.sim

NOC = NocParams(vcs=2, vc_depth=9, labels=16)
SIDE = 8
MESH = MeshParams(width=SIDE, height=SIDE, die_width=SIDE, die_height=SIDE)
SHORT = MeshParams(width=3, height=3, die_width=3, die_height=3)
FAULTS = [(0, 1), (0, 4), (0, 8), (0, 16), (1, 0), (3, 0)]   # routers, links


def test_lab():
    """8 x 8 under Verilator: zero load, 100,000 mixed packets, six sets of faults, dead ports."""
    built = build_of(NOC, MESH)
    nodes = SIDE * SIDE
    meshes = MESH, MeshParams(width=SIDE, height=SIDE, die_width=4, die_height=4)
    routes = [Routes(random_faults(meshes[n % 2], routers, links, seed=7))
              for n, (routers, links) in enumerate(FAULTS)]
    mix = Mix(packets=3 * nodes * nodes, rate=0.1, seed=3)
    pairs, mixed, dropping, *faults = perform(built, [
        job_of(all_pairs(experiment())),
        mixed_job(NOC, meshes[1], Mix(packets=100_000)),
        dead_port_job(NOC, meshes[0]),
        *(fault_job(NOC, each, mix) for each in routes)], nodes)
    assert not wrong_at_zero_load(pairs, nodes * nodes)
    assert not wrong_delivery(mixed)
    assert mixed.total(Count.RECEIVED) >= 100_000
    assert all(mixed.total(Count.BY_CLASS + n) > 10_000 for n in range(4))
    assert 0.3 < mixed.total(Count.IN_ORDER) / mixed.total(Count.RECEIVED) < 0.7
    for outcome, each in zip(faults, routes, strict=True):
        assert not wrong_around(outcome, each)
    assert not wrong_drops(dropping)


def test_short_lab():
    """The same bench on 3 x 3 under Icarus."""
    nodes = 9
    routes = Routes(random_faults(SHORT, routers=1, links=0, seed=7))
    built = build_of(NOC, SHORT, "icarus")
    pairs, mixed, faults, dropping = perform(built, [
        job_of(all_pairs(experiment(width=3, height=3))),
        mixed_job(NOC, SHORT, Mix(packets=200, stall=0.3)),
        fault_job(NOC, routes, Mix(packets=3 * nodes * nodes, rate=0.1)),
        dead_port_job(NOC, SHORT)], nodes)
    assert not wrong_at_zero_load(pairs, nodes * nodes)
    assert not wrong_delivery(mixed)
    assert not wrong_around(faults, routes)
    assert not wrong_drops(dropping)


def test_dies():
    """A border adds ``crossing_cycles`` to every packet that crosses it, and no error."""
    options = all_pairs(experiment(
        width=4, height=2, vcs=1, class1_vcs=0, class2_vcs=0, vc_depth=4, flit_bits=128,
        die_width=2, die_height=1, die_latency_cycles=3))
    built = build_of(options.noc, options.mesh, "icarus")
    outcome, = perform(built, [job_of(options)], 8)
    assert not wrong_delivery(outcome)
    assert outcome.total(Count.DONE) == 64
    extra = crossing_cycles(options.noc)
    assert [node[Count.EXCESS_MAX] for node in outcome.nodes] == [2 * extra] * 8
    assert outcome.total(Count.TOO_FAST) == 0


def test_same_packets_as_the_reference():
    """Sources make the packets of ``sw.noc.experiment.traffic.generate``, to the cycle."""
    options = experiment(width=3, height=2, vcs=1, class1_vcs=0, class2_vcs=0, vc_depth=4,
                         flit_bits=128, packet_min=1, packet_max=5, rate=0.3,
                         warmup_cycles=0, measure_cycles=300, seed=5)
    built = build_of(options.noc, options.mesh, "icarus")
    outcome, = perform(built, [job_of(options)], 6)
    assert not wrong_delivery(outcome)
    made = [*generate(options, 300)]
    assert outcome.total(Count.MEASURED) == len(made) > 100
    routers = sum(abs(p.source % 3 - p.destination % 3) + abs(p.source // 3 - p.destination // 3)
                  + 1 for p in made)
    assert outcome.total(Count.ROUTERS) == routers
    found = report(options, outcome, "icarus")
    assert found.packet_latency * len(made) == pytest.approx(
        sum(n * count for n, count in enumerate(outcome.histogram)))


@pytest.mark.parametrize("command", [("pairs", "--depth", "4"), ("mixed", "--packets", "200"),
                                     ("around", "--fault-counts", "1:0", "--sets", "2")])
def test_commands(command, tmp_path):
    """``ouroboros noc pairs``, ``mixed`` and ``around``, on 3 x 3 under Icarus."""
    result = CliRunner().invoke(cli, ["noc", *command, "--k", "3", "--labels", "16", "--on",
                                      "icarus", "--json", str(tmp_path / "found.json")])
    assert result.exit_code == 0, result.output
    runs = json.loads((tmp_path / "found.json").read_text())["runs"]
    assert len(runs) == 1 + (command[0] == "around")
    assert all(run["packets"] >= 81 and run["wrong"] == [] for run in runs)
