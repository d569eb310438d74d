"""Keys, tables, the best set, comparison of files, the commands."""

import json

import pyarrow.parquet
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.wafer.sweep import SweepOptions
from ouroboros.sw.cli.main import cli
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.sweep.compare import compare_files
from ouroboros.sw.sweep.errors import SweepError
from ouroboros.sw.sweep.machine_keys import keys, machine_with
from ouroboros.sw.sweep.point import grid
from ouroboros.sw.sweep.table import columns, csv_text, pareto, parse_goal, rows, write_parquet


def test_every_combination_once():
    options = SweepOptions(over=("members=1,2", "kv.ring=true,false"), settings=("model=llama-7b",))
    assert options.points() == [
        {"model": "llama-7b", "members": m, "kv.ring": r} for m in "12" for r in ("true", "false")]


@pytest.mark.parametrize(("over", "same", "message"), [
    (("members",), (), "--over must be KEY=a,b,c, not 'members'"),
    (("members=1,,2",), (), "--over must be KEY=a,b,c, not 'members=1,,2'"),
    (("members=1,1",), (), "--over members must have each value once, not '1' twice"),
    (("members=1", "members=2"), (), "--over must name each key once, not 'members' twice"),
    (("members=1,x",), (), "members must be a whole number, not 'x'"),
    (("clock_ghz=1,fast",), (), "clock_ghz must be a number, not 'fast'"),
    (("memebers=1",), (), "key must be an option of ouroboros wafer (pools, "),
    (("greedy=1",), (), "key must be an option of ouroboros wafer (pools, "),
    (("members=1",), ("members=2",), "key 'members' must be given by --over or by --set, not both"),
    (("members=1",), ("rate",), "--set must be KEY=VALUE, not 'rate'"),
    (tuple(f"{key}={','.join(map(str, range(20)))}" for key in (
        "seed", "requests", "members", "context")), (), "points must be at most 100,000, not 1")])
def test_refused(over, same, message):
    with pytest.raises(OuroborosError) as error:
        SweepOptions(over=over, settings=same).points()
    assert str(error.value).startswith(message)


def test_machine_keys():
    machine = load_machine("wafer")
    assert {"kv.ring", "kv.blocks", "noc.flit_bits", "core.macros"} <= {*keys(machine)}
    found = machine_with(machine, {"kv.ring": "false", "kv.blocks": "32"})
    assert (found.kv.ring, found.kv.blocks, found.mesh) == (False, 32, machine.mesh)
    for values, message in (({"kv.ring": "maybe"}, "machine key kv.ring cannot be 'maybe'"),
                            ({"kv.blocks": "0"}, "machine key kv.blocks cannot be '0'"),
                            ({"kv.blocks": "x"}, "machine key kv.blocks cannot be 'x'")):
        with pytest.raises(SweepError, match=message):
            machine_with(machine, values)


TABLE = rows([{"a": "1"}, {"a": "2"}, {"a": "3"}], [{"x": 1, "y": 2.5}, {"x": 3.5}, {
    "refused": "no, \"never\""}])


def test_table(tmp_path):
    assert columns(TABLE) == ["a", "x", "y", "refused"]
    assert csv_text(TABLE) == 'a,x,y,refused\n1,1,2.5,\n2,3.5,,\n3,,,"no, ""never"""\n'
    path = tmp_path / "t.parquet"
    write_parquet(path, TABLE)
    assert pyarrow.parquet.read_table(path).to_pydict() == {
        "a": ["1", "2", "3"], "x": [1.0, 3.5, None], "y": [2.5, None, None],
        "refused": ["", "", 'no, "never"']}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_nothing_beats_the_best_set(values):
    table = [{"x": x, "y": y} for x, y in values]
    best = pareto(table, [parse_goal("max:x"), parse_goal("min:y")])
    for n, (x, y) in enumerate(values):
        beaten = any(a >= x and b <= y and (a, b) != (x, y) for a, b in values)
        assert (n in best) == (not beaten)


def test_goals_that_are_none():
    with pytest.raises(SweepError, match="a goal must be max:COLUMN or min:COLUMN, not 'x'"):
        parse_goal("x")
    with pytest.raises(SweepError, match="a goal must be a column of numbers of a, x, y, not 'z'"):
        pareto(TABLE, [("z", True)])


def test_grid_of_nothing():
    assert grid([]) == [{}]


def written(path, **values):
    path.write_text(json.dumps({"schema": "ouroboros-wafer-1", **values}))
    return path


def test_compare(tmp_path):
    first = written(tmp_path / "a.json", x=1.0, y={"z": 4, "w": "up"}, parts=[
        {"name": "p", "v": 2}, {"name": "q", "v": 3}], only=1)
    second = written(tmp_path / "b.json", x=1.5, y={"z": 4, "w": "down"}, parts=[
        {"name": "q", "v": 3}, {"name": "p", "v": 0}], other=1)
    found = compare_files(first, second)
    assert [(d.key, d.first, d.second, d.change) for d in found.differences] == [
        ("parts[p].v", 2, 0, -1.0), ("x", 1.0, 1.5, 0.5), ("y.w", "up", "down", None)]
    assert found.only_first == ("only",) and found.only_second == ("other",)
    assert found.same == 5      # schema, y.z, q's v and two names
    result = CliRunner().invoke(cli, ["compare", str(first), str(second)])
    assert result.exit_code == 0 and "5 values are equal, 3 differ" in result.output
    assert "+50" in result.output


@pytest.mark.parametrize(("content", "message"), [
    ('{"schema": "ouroboros-energy-1"}', "schema must be 'ouroboros-wafer-1', that of "),
    ("{}", "must be what an ouroboros command wrote by --json"), ("[", "not JSON"), ("", "JSON")])
def test_compare_refuses(tmp_path, content, message):
    first, second = written(tmp_path / "a.json"), tmp_path / "b.json"
    second.write_text(content)
    result = CliRunner().invoke(cli, ["compare", str(first), str(second)])
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1


def test_command(tmp_path):
    names = {kind: tmp_path / f"t.{kind}" for kind in ("csv", "parquet", "svg", "json")}
    result = CliRunner().invoke(cli, [
        "sweep", "--set", "model=llama-7b", "--set", "lengths=60:20", "--set", "requests=10",
        "--over", "members=2,9000,4", "--store", str(tmp_path / "s"), "--csv", str(names["csv"]),
        "--parquet", str(names["parquet"]), "--plot", str(names["svg"]),
        "--json", str(names["json"])])
    assert result.exit_code == 0, result.output
    assert "3 points, 1 refused" in result.output
    assert "refused: members must be between 1 and " in result.output
    found = json.loads(names["json"].read_text())
    assert [bool(row["refused"]) for row in found["table"]] == [False, True, False]
    assert found["table"][0]["members"] == "2" and found["table"][0]["output_tokens_per_s"] > 0
    assert found["table"][0]["output_tokens_per_s_at_1_ghz_5600_w"] <= found["table"][0][
        "output_tokens_per_s"]
    assert names["csv"].read_text().count("\n") == 4
    assert pyarrow.parquet.read_table(names["parquet"]).num_rows == 3
    assert "<svg" in names["svg"].read_text()
