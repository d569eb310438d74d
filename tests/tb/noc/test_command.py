"""``ouroboros noc pairs``, ``mixed``, ``around``: bad input, and what a wrong outcome ends in."""

import json

import click
import pytest
from click.testing import CliRunner

from ouroboros.sw.cli.command import conclude
from ouroboros.sw.cli.main import cli
from ouroboros.sw.noc.experiment.options import experiment
from ouroboros.tb.noc.lab.command import fault_sets, show


@pytest.mark.parametrize("arguments, message", [
    (("mixed", "--packets", "0"), "packets must be at least 1, not 0"),
    (("mixed", "--packet", "0-4"), "packet_min must be 1 to 9, not 0"),
    (("mixed", "--stall", "1"), "stall must be 0 to 0.95, not 1.0"),
    (("mixed", "--rate", "6"), "rate must be 0 to 5.0, not 6.0"),
    (("pairs", "--k", "17"), "width x height must be at most 256 on RTL, not 289"),
    (("pairs", "--depth", "3"), "vc_depth must be at least 4, not 3"),
    (("pairs", "--die", "4x4"), "--die must not be given: a crossing adds to T0"),
    (("around", "--sets", "0"), "sets must be at least 1, not 0"),
    (("around", "--class2-vcs", "0"), "--class1-vcs and --class2-vcs must not be 0"),
    (("around", "--fault-counts", "1"), "--fault-counts must be R:L,.., not '1'"),
    (("around", "--fault-counts", "x"), "--fault-counts must be R:L,.., not 'x'"),
    (("around", "--fault-counts", "0:40", "--k", "3"), "dead links must be 0 to 12, not 40"),
    (("around", "--fault-counts", "0:12", "--k", "3"),
     "--fault-counts 0:12 must leave a mesh of 3 x 3 in one piece; 0 of 100 random sets do"),
])
def test_bad_input(arguments, message):
    result = CliRunner().invoke(cli, ["noc", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


def test_sets_are_connected_and_distinct():
    found = fault_sets(experiment(width=3, height=3), 1, 1, 3, 100)
    assert len({seed for seed, _ in found}) == 3
    assert all(len(routes.faults.routers) == 1 for _, routes in found)


def test_wrong_outcome_exits_1(tmp_path, capsys):
    right = {"name": "a", "packets": 10, "in_order": 5, "by_class": {"0": 10}, "dropped": 0,
             "latency_max": 12, "sim_cycles": 100, "wrong": []}
    wrong = right | {"name": "b", "wrong": ["2 packets were dropped"]}

    def command(rows, output):
        return show(rows, "icarus", 1.0, output)

    conclude(command, [right], None, False)
    with pytest.raises(click.exceptions.Exit) as raised:
        conclude(command, [right, wrong], tmp_path / "found.json", False)
    assert raised.value.exit_code == 1
    assert capsys.readouterr().err == "b: 2 packets were dropped\n"
    assert len(json.loads((tmp_path / "found.json").read_text())["runs"]) == 2
