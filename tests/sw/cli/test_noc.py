"""``ouroboros noc``: experiments, curves, faults and loads from the command line."""

import csv
import json
from dataclasses import fields, replace
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.cli import main
from ouroboros.sw.noc.experiment import lab
from ouroboros.sw.noc.experiment.placed_traffic import read_placed
from ouroboros.sw.noc.experiment.result import Report
from ouroboros.sw.noc.experiment.traffic_file import die_snake, read_volumes
from ouroboros.sw.noc.load.token import hops_of, packets_of
from ouroboros.sw.noc.routes.fault_report import bytes_by_class, pair_shares
from ouroboros.sw.noc.routes.faults import Faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.noc.study import curves
from ouroboros.sw.noc.study.booksim import COLUMNS, read_reference
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Grid, Instance, Net, write_instance
from ouroboros.sw.place.placement import Placement, save

EIGHT = MeshParams(width=8, height=8, die_width=8, die_height=8)
DIES = MeshParams(width=9, height=8, die_width=3, die_height=4)
SMALL = ("--k", "4", "--measure", "400", "--warmup", "100")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(main.cli, ["noc", *arguments])

    return call


def test_one_experiment(run, tmp_path):
    result = run(*SMALL, "--rate", "0.2", "--packet", "1-5", "--json", "found.json")
    assert result.exit_code == 0, result.output
    assert "channel-load bound" in result.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert tuple(found) == ("schema", *[one.name for one in fields(Report)][:-1])
    assert (found["k"], found["packet_size"], found["on"]) == (4, "1-5", "model")


def test_trace(run, tmp_path):
    (tmp_path / "trace.csv").write_text("cycle,source,destination,flits\n5,1,2,4\n0,0,15,1\n")
    result = run("--k", "4", "--traffic", "trace", "--trace", "trace.csv", "--warmup", "0",
                 "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["packet_latency"] == (3 + 12 + 3 + 2 + 3) / 2


def test_sweep_writes_table_and_picture(run, tmp_path):
    result = run("sweep", *SMALL, "--rates", "0.1,0.3", "--csv", "c.csv", "--plot", "p.svg",
                 "--json", "found.json")
    assert result.exit_code == 0, result.output
    with (tmp_path / "c.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["mode"], row["injection_rate"]) for row in rows] == [
        ("latency", "0.1"), ("latency", "0.3"), *[("throughput", "1.0")] * 3]
    assert "<svg" in (tmp_path / "p.svg").read_text()


def interrupting(monkeypatch, point):
    """Ctrl-C in the run of such a point, counted from 1."""
    runs = []

    def run(options):
        runs.append(options)
        if len(runs) == point:
            raise KeyboardInterrupt
        return lab.cycle_model.run(options)

    monkeypatch.setattr(curves, "runner", lambda name: run)


def test_an_interrupted_sweep_keeps_the_points_done(run, tmp_path, monkeypatch):
    interrupting(monkeypatch, 3)
    result = run("sweep", *SMALL, "--rates", "0.1,0.3,0.5", "--csv", "c.csv", "--plot", "p.svg",
                 "--json", "found.json")
    assert result.exit_code == 130, result.output
    assert "interrupted: these are the points done by then" in result.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["interrupted"] is True
    assert [point["injection_rate"] for point in found["points"]] == [0.1, 0.3]
    assert "0.3000" in result.stdout and "0.5000" not in result.stdout
    with (tmp_path / "c.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    assert "<svg" in (tmp_path / "p.svg").read_text()


def test_a_whole_sweep_says_that_it_was_not_interrupted(run, tmp_path):
    assert run("sweep", *SMALL, "--rates", "0.1", "--no-overload",
               "--json", "found.json").exit_code == 0
    assert json.loads((tmp_path / "found.json").read_text())["interrupted"] is False


def test_an_interrupted_comparison_keeps_the_points_done(run, tmp_path, monkeypatch):
    reference(tmp_path / "ref.csv")
    interrupting(monkeypatch, 2)
    result = run("compare", *SMALL, "--against", "booksim", "--reference", "ref.csv",
                 "--json", "found.json")
    assert result.exit_code == 130, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["interrupted"] is True
    assert [point["quantity"] for point in found["points"]] == ["latency"]
    assert set(found["worst"]) == {"latency up to 0.6 of saturation",
                                   "latency up to 0.8 of saturation"}


@pytest.mark.parametrize("command", ["sweep", "compare"])
def test_interrupted_before_the_first_point(run, tmp_path, monkeypatch, command):
    interrupting(monkeypatch, 1)
    result = run(command, *SMALL, "--json", "found.json")
    assert result.exit_code == 130
    assert result.stderr.endswith("Interrupted.\n")
    assert not (tmp_path / "found.json").exists()


def reference(path):
    path.write_text(
        "key,k,traffic,num_vcs,vc_buf_size,packet_size,pipeline,mode,injection_rate,"
        "packet_latency,accepted,saturated,latency_over_3x_zero_load\n"
        "a,4,uniform,2,4,4,patched2,latency,0.1,10.5,0.1,False,False\n"
        "a,4,uniform,2,4,4,patched2,latency,0.7,400,0.65,True,True\n"
        "a,4,uniform,2,4,4,patched2,throughput,1.0,900,0.65,True,\n")
    return read_reference(path)


def test_compare_with_booksim(run, tmp_path):
    rows = reference(tmp_path / "ref.csv")
    # H is 2.5 on average: its T0 is 2 + 5 + 3, ours 3 + 5 + 3.
    assert rows[0].in_our_time(20.0) == pytest.approx(19.0)
    result = run("compare", *SMALL, "--against", "booksim", "--reference", "ref.csv",
                 "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert [(p["quantity"], p["fraction"]) for p in found["points"]] == [
        ("latency", pytest.approx(1 / 7)), ("accepted", None)]
    assert found["worst"]["accepted"] < 0.06
    assert found["worst"]["latency up to 0.6 of saturation"] < 0.1


def test_compare_with_itself(run, tmp_path):
    result = run("compare", *SMALL, "--against", "model", "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["points"]) == 7
    assert set(found["worst"].values()) == {0.0}


def test_saturation(run, tmp_path):
    result = run("saturation", *SMALL, "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["channel_load_bound"] == pytest.approx(1.0)
    assert 0.55 < found["saturation"] < 0.75


def test_faults(run, tmp_path):
    (tmp_path / "flows.csv").write_text("source,destination,bytes\n0,5,100\n0,30,300\n")
    result = run("faults", "--machine", "die", "--faults", "3", "--seed", "2", "--pairs", "0",
                 "--flows", "flows.csv", "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["dead"], found["live"], found["pairs"]["pairs"]) == (3, 218, 218 * 218)
    assert sum(found["pairs"]["shares"]) == pytest.approx(1)
    assert sum(found["bytes"]) == pytest.approx(1)


def test_faults_by_name_and_from_a_file(run, tmp_path):
    """Core 14 is (2, 2) of a die 13 wide; the file's links are beside those of the option."""
    (tmp_path / "f.json").write_text(json.dumps({"routers": [[2, 2]],
                                                 "links": [[[3, 3], [4, 3]]]}))
    for dead, links, number in (("14", "", 0), ("f.json", "", 1), ("f.json", "0:east", 2)):
        result = run("faults", "--machine", "die", "--dead", dead, "--dead-links", links,
                     "--pairs", "100", "--json", "found.json")
        assert result.exit_code == 0, result.output
        found = json.loads((tmp_path / "found.json").read_text())
        assert (found["dead"], found["dead_links"], found["live"]) == (1, number, 220)


def test_links(run, tmp_path):
    (tmp_path / "flows.csv").write_text(
        "source,destination,bytes,tree\n0,3,2560,a\n0,5,2560,a\n13,0,256,b\n")
    result = run("links", "--machine", "die", "--flows", "flows.csv", "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())["traffic"]
    # 10 packets of 9 flits on a tree over 5 links, 1 packet over 1 link.
    assert found["flit_hops_per_token"] == pytest.approx(9 * 10 * 5 + 9)
    assert found["busiest_flits_per_token"] == pytest.approx(90)
    assert found["unicast_byte_hops_per_token"] == pytest.approx(2560 * 8 + 256)
    assert found["interval_cycles"] == 180


def placed(tmp_path, core, width=13):
    """Net of 900 flits from tile 0 to 1 and 2, of 90 from 1 to 0; files of instance, placement."""
    grid = Grid(width=width, height=17, die_width=13, die_height=17, die_penalty_hops=4)
    instance = Instance(name="i", grid=grid, tiles=3, edges=[[0, 1, 99], [0, 2, 90]], nets=(
        Net(source=0, sinks=(1, 2), volume_bytes=900 * 32),
        Net(source=1, sinks=(0,), volume_bytes=90 * 32)))
    write_instance(instance, tmp_path / "i.json")
    save(Placement(instance_name="i", instance_digest=instance.digest, grid=grid, core=core,
                   cost=cost(instance, np.array(core))), tmp_path / "p.json")


def test_links_of_a_placement(run, tmp_path):
    placed(tmp_path, [0, 3, 2 + 13 * 2])
    result = run("links", "--machine", "die", "--instance", "i.json", "--placement", "p.json",
                 "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    # Three links to tile 1, two more to tile 2; three back.
    assert found["traffic"]["flit_hops_per_token"] == pytest.approx(900 * 5 + 90 * 3)
    assert found["traffic"]["busiest_flits_per_token"] == pytest.approx(900)
    for key in ("flit_hops_per_token", "busiest_flits_per_token"):
        assert found["placement"][key] == pytest.approx(found["traffic"][key])
    assert found["placement"]["busiest_direction"] == "east"
    # On the snake tile 2 lies behind tile 1.
    result = run("links", "--machine", "die", "--instance", "i.json", "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["traffic"]["flit_hops_per_token"] == pytest.approx(900 * 2 + 90)


@pytest.mark.parametrize("width, arguments, message", [
    (13, ["--placement", "p.json"], "--instance FILE must be given with --placement"),
    (13, ["--instance", "i.json", "--placement", "i.json"], "i.json: key 'schema' must be "),
    (26, ["--instance", "i.json", "--placement", "p.json"],
     "i.json: must be for the machine's 13 x 17 cores in dies of 13 x 17, not 26 x 17 in dies"),
    (13, ["--instance", "i.json", "--placement", "p.json", "--dead", "d.json"],
     "p.json: must have every tile on a live core, not tile 1 on the dead core 3: give the same "),
])
def test_placements_refused(run, tmp_path, width, arguments, message):
    placed(tmp_path, [0, 3, 30], width)
    (tmp_path / "d.json").write_text(json.dumps({"W": 13, "H": 17, "dead": [3]}))
    result = run("links", "--machine", "die", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"Error: {message}")


def test_trees_behind_faults_are_taken_apart(tmp_path):
    path = tmp_path / "flows.csv"
    path.write_text("source,destination,bytes,tree\n0,2,256,a\n0,8,256,a\n9,10,256,b\n9,11,256,b\n")
    routes = Routes(Faults(mesh=EIGHT, routers=frozenset({(2, 1)})))
    flows = packets_of(routes, read_volumes(path, EIGHT), 32)
    assert flows.trees.tolist() == [0, 1, 2, 2]
    assert flows.vias.tolist() == [[8], [-1], [-1], [-1]]
    assert hops_of(routes, read_volumes(path, EIGHT)).tolist() == [4, 1, 1, 2]
    assert flows.flits.tolist() == [9] * 4
    assert flows.rates.tolist() == [1.0] * 4
    whole = packets_of(routes, replace(read_volumes(path, EIGHT), headers=True), 64)
    assert (whole.flits.tolist(), whole.rates.tolist()) == ([4] * 4, [1.0] * 4)


def test_class_2_flows_turn_where_their_path_does():
    faults = Faults(mesh=EIGHT, routers=frozenset({(2, 1), (1, 4), (4, 3), (4, 5)}))
    routes = Routes(faults)
    sources, ends = routes.cores[:1], routes.cores[routes.cores == 3 + 8 * 3]
    choices = routes.choices(sources, ends)
    assert choices[0, 0] == 2
    at, hops = int(sources[0]), 0
    for there in [*routes.vias(sources, ends, choices)[0].tolist(), int(ends[0])]:
        assert (at % 8 == there % 8) != (at // 8 == there // 8)
        hops += abs(at % 8 - there % 8) + abs(at // 8 - there // 8)
        at = there
    assert hops == routes.route((1, 1), (4, 4)).hops


def test_instance_on_a_snake(tmp_path):
    faults = Faults(mesh=DIES, routers=frozenset({(2, 1)}))
    routes = Routes(faults)
    order = die_snake(DIES, ~routes.live.live)
    assert order[:4].tolist() == [0, 2, 11, 10]
    assert len(order) == 71
    path = tmp_path / "i.json"
    path.write_text(json.dumps({"tiles": 3, "edges": [[0, 1, 10], [1, 2, 4]], "W": 2, "H": 2,
                                "die_w": 2, "die_h": 2, "lam": 0, "defects": []}))
    volumes = read_placed(path, None, DIES, ~routes.live.live).volumes
    assert volumes.sources.tolist() == [0, 2, 2, 11]
    assert volumes.volume_bytes.tolist() == [5, 2, 5, 2]
    assert bytes_by_class(routes, volumes) == pytest.approx((4 / 14, 10 / 14, 0))


def test_sampled_shares_are_near_those_of_all_pairs():
    routes = Routes(Faults(mesh=EIGHT, routers=frozenset({(3, 3), (6, 5)})))
    every, some = pair_shares(routes, 0, 1), pair_shares(routes, 20_000, 1)
    assert every.pairs == 62 * 62
    assert some.shares == pytest.approx(every.shares, abs=0.02)
    assert some.extra_hops == pytest.approx(every.extra_hops, rel=0.1)


@pytest.mark.parametrize("arguments, message", [
    (["--rate", "5"], "rate must be 0 to 4.0, not 5.0"),
    (["--packet", "1-x"], "--packet must be N or N-M, not '1-x'"),
    (["--mesh", "8"], "rate must be 0 to 4.0, not 9.0"),
    (["--traffic", "trace"], "--trace FILE must be given with --traffic trace, and only then"),
    (["sweep", "--rates", "a,b"], "--rates must be auto or numbers with commas between, "),
    (["sweep", "--rates", "0.1", "--no-overload", "--k", "2", "--plot", "x.pdf"],
     "x.pdf: name must end in .svg or .png"),
    (["compare", "--against", "booksim"], "--reference FILE must be given with --against booksim"),
    (["compare", "--against", "booksim", "--reference", "none.csv"],
     "none.csv: cannot be read: No such file or directory"),
    (["faults", "--dead", "none.json"], "none.json: cannot be read: "),
    (["faults", "--dead", "3", "--link-faults", "2"],
     "--faults and --link-faults must not be given beside --dead or --dead-links"),
    (["faults", "--machine", "tiny", "--faults", "13"], "dead routers must be 0 to 12, not 13"),
    (["links", "--flows", "none.csv"], "none.csv: cannot be read: "),
    (["links", "--vcs", "3"], "link-load model must be fitted for 3 channels of 10 flits "),
])
def test_refused(run, arguments, message):
    if arguments[0] == "--mesh":
        arguments = [*arguments, "--rate", "9"]
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"Error: {message}")


def test_trace_of_all_kinds(run, tmp_path):
    (tmp_path / "trace.csv").write_text(
        "cycle,source,destination,flits,way,targets\n0,5,,4,,9;7;5;1;6\n100,5,6,4,12,\n")
    result = run("--k", "4", "--traffic", "trace", "--trace", "trace.csv", "--warmup", "0",
                 "--json", "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["packets_measured"] == 6
    assert found["packet_latency"] == pytest.approx((6 + 8 + 8 + 8 + 10 + 20) / 6)


HEAD = "cycle,source,destination,flits\n"
FULL_HEAD = "cycle,source,destination,flits,way,targets\n"


@pytest.mark.parametrize("text, message", [
    ("a,b\n", ("x.csv: must have the columns cycle, source, destination, flits and may have way, "
               "targets, not a, b")),
    ("cycle,source,destination,flits,target\n1,2,3,4,5\n",
     ("x.csv: must have the columns cycle, source, destination, flits and may have way, targets, "
      "not cycle, source, destination, flits, target")),
    ("", ("x.csv: must have the columns cycle, source, destination, flits and may have way, "
          "targets, not nothing")),
    (HEAD, "x.csv: must have at least one packet, not none"),
    (HEAD + "1099511627776,0,1,4\n",
     "x.csv, line 2: cycle must be 0 to 1,000,000,000, not '1099511627776'"),
    (HEAD + "0,0,1,99999999999\n",
     "x.csv, line 2: flits must be 0 to 16,777,216, not '99999999999'"),
    (FULL_HEAD + "1,0,,4,,3;9999999999999999999999\n",
     ("x.csv, line 2: targets must be whole numbers with ; between, not "
      "'3;9999999999999999999999'")),
    (HEAD + "1,2,x,4\n", "x.csv, line 2: destination must be a whole number, not 'x'"),
    (HEAD + "1,2,,4\n", "x.csv, line 2: destination must be a whole number, not ''"),
    (HEAD + "1,2,3\n", "x.csv, line 2: must have 4 fields, as the head line has, not 3"),
    (HEAD + "1,2,3,4,5\n", "x.csv, line 2: must have 4 fields, as the head line has, not 5"),
    (HEAD + "1,99,0,4\n", "source of packet 0 of the trace (line 2) must be 0 to 15, not 99"),
    (FULL_HEAD + "1,0,1,4,x,\n", "x.csv, line 2: way must be a whole number, not 'x'"),
    (FULL_HEAD + "1,0,,4,,3;x\n",
     "x.csv, line 2: targets must be whole numbers with ; between, not '3;x'"),
    (FULL_HEAD + "1,0,2,4,,3\n",
     "x.csv, line 2: destination must be empty beside targets, not '2'"),
    (FULL_HEAD + "2,0,,4,,3;16\n1,0,1,4,,\n",
     "targets of packet 1 of the trace (line 2) must be 0 to 15, not 16"),
    (FULL_HEAD + "".join(f"{n},0,,1,,{1 + n}\n" for n in range(3)),
     ("the trace's 3 multicast groups must fit the 3 labels of a router (labels): multicast groups "
      "must fit 2 labels: no label is left for group 0 from (1, 1) (2 routers; router (1, 1) alone "
      "has 2 labels in use)")),
])
def test_traces_refused(run, tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    result = run("--k", "4", "--traffic", "trace", "--trace", "x.csv", "--labels", "3")
    assert (result.exit_code, result.stderr) == (2, f"Error: {message}\n")


def test_simulators_are_entry_points(monkeypatch):
    found = {"rtl": EntryPoint("rtl", "ouroboros.sw.noc.cycle.model:run", "ouroboros.noc"),
             "bad": EntryPoint("bad", "ouroboros.sw.noc.cycle.model:no", "ouroboros.noc")}

    def entry_points(group, name=None):
        assert group == "ouroboros.noc"
        return [entry for entry in found.values() if name in (None, entry.name)]

    monkeypatch.setattr(lab, "entry_points", entry_points)
    assert lab.runner("rtl") is lab.cycle_model.run
    with pytest.raises(lab.NocError, match=r"^bad cannot be loaded: "):
        lab.runner("bad")
    with pytest.raises(lab.NocError, match=r"^--on must be one of bad, model, rtl, not 'x'$"):
        lab.runner("x")


@pytest.mark.parametrize(("warmup", "words"), [
    (1000, ("0 of the trace's 3 packets are made in the measured cycles 1,000 to 1,009; 3 before "
            "them, 0 after them")),
    (10, ("1 of the trace's 3 packets are made in the measured cycles 10 to 19; 1 before them, 1 "
          "after them")),
    (0, "2 of the trace's 3 packets are made in the measured cycles 0 to 9; 0 before them, 1")])
def test_packets_outside_the_measured_cycles_are_mentioned(run, tmp_path, warmup, words):
    second = 9 if warmup == 0 else 12
    (tmp_path / "t.csv").write_text(HEAD + f"0,0,5,4\n{second},1,6,4\n20,2,7,4\n")
    result = run("--k", "4", "--traffic", "trace", "--trace", "t.csv", "--warmup", str(warmup),
                 "--measure", "10", "--json", "f.json")
    assert result.exit_code == 0, result.output
    assert words in " ".join(result.stdout.split())
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["trace_before"] + found["trace_after"] + found["packets_measured"] == 3
    if warmup == 1000:
        assert found["packet_latency"] is None


def test_all_packets_measured_is_not_mentioned(run, tmp_path):
    (tmp_path / "t.csv").write_text(HEAD + "0,0,5,4\n")
    result = run("--k", "4", "--traffic", "trace", "--trace", "t.csv", "--warmup", "0")
    assert result.exit_code == 0
    assert "of the trace's" not in result.stdout


@pytest.mark.parametrize(("text", "message"), [
    ("0,5,0\n1,6,0\n", "f.csv: must have a flow of more than 0 bytes, not none"),
    ("", "f.csv: must have at least one flow, not none"),
    ("0,5,nan\n", "f.csv, line 2: bytes must be 0 to 1e+15, not 'nan'"),
    ("0,5,-1\n", "f.csv, line 2: bytes must be 0 to 1e+15, not '-1'"),
    ("0,221,1\n", "f.csv, line 2: destination must be 0 to 220, not '221'")])
def test_flows_refused(run, tmp_path, text, message):
    (tmp_path / "f.csv").write_text("source,destination,bytes\n" + text)
    result = run("links", "--machine", "die", "--flows", "f.csv", "--json", "l.json")
    assert (result.exit_code, result.stderr) == (2, f"Error: {message}\n")
    assert not (tmp_path / "l.json").exists()
