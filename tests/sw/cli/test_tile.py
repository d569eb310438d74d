"""``ouroboros tile``: tables, files, refusals."""

import json

from click.testing import CliRunner

from ouroboros.sw.cli.main import cli
from ouroboros.sw.mapper.ports import PortLoad, port_loads
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.place.instance import read_instance


def run(*arguments):
    return CliRunner().invoke(cli, ["tile", *arguments])


def test_counts_beside_the_minimum(tmp_path):
    found = run("--model", "bert-large", "--members", "2", "--dead", "5,3",
                "--json", str(tmp_path / "f.json"), "--out", str(tmp_path / "i.json.gz"))
    assert found.exit_code == 0, found.output
    written = json.loads((tmp_path / "f.json").read_text())
    shape = load_shape("bert-large")
    # A block of 12 MiB is three cores of 4 MiB; its four matrices take four.
    assert written["crossbar_minimum"] == -(-shape.weight_bytes // (4 << 20)) == 72
    assert (written["block_minimum"], written["block_cores"]) == (3, 4)
    assert written["cores"]["live"] == 13923 - 2
    instance = read_instance(tmp_path / "i.json.gz")
    assert instance.tiles == written["tiles"] == written["cores"]["tiles"] == 96 + 1 + 24 * 16 * 2
    assert instance.grid.defects == (3, 5)
    assert instance.volume == written["bytes_per_token"]
    assert len(instance.nets) == written["nets"]
    assert "crossbar minimum 72" in found.output


def test_port_loads_by_hand():
    class net:
        def __init__(self, source, sinks, volume_bytes):
            self.source, self.sinks, self.volume_bytes = source, sinks, volume_bytes

    names = [(0, "a", 0), (0, "a", 1), (0, "b", 0)]
    loads = port_loads(names, [net(0, (1, 2), 64), net(2, (1,), 32), net(1, (2,), 96)], 32)
    assert loads == [PortLoad("a", 2, 3.0, 3.0), PortLoad("b", 1, 5.0, 1.0)]


def test_refused_in_a_sentence():
    found = run("--model", "gpt-175b")
    assert found.exit_code == 2
    assert "it takes 4 of them" in found.stderr and found.stderr.count("\n") == 1
    assert run("--dead", "x").exit_code == 2
    assert run("--dead", "13923").exit_code == 2
    assert run("--members", "33").exit_code == 2
