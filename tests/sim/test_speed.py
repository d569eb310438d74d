"""``ouroboros speed`` of small designs under Verilator."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli.main import cli

pytestmark = pytest.mark.sim


@pytest.mark.parametrize("arguments, rows", [
    (["mesh", "--width", "2", "--height", "2"], 4),
    (["macro", "--machine", "tiny"], 6),
    (["idle", "--machine", "tiny", "--cycles", "200"], 1),
])
def test_speeds(arguments, rows, tmp_path):
    path = tmp_path / "found.json"
    result = CliRunner().invoke(cli, ["speed", *arguments, "--json", str(path)])
    assert result.exit_code == 0, result.output
    found = json.loads(path.read_text())["speeds"]
    assert len(found) == rows
    assert all(one["per_processor_s"] > 0 and one["build_s"] >= 0 for one in found)
