"""What commands share."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.cli.main import cli
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.noc.routes.faults import parse_links
from ouroboros.sw.place.dead import dead_cores


def test_dead_cores(tmp_path):
    mesh = load_machine("small").mesh
    assert dead_cores("", mesh) == ()
    assert dead_cores("9,3,9", mesh) == (3, 9)
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"width": 7, "height": 6, "dead": [40, 2]}))
    assert dead_cores(str(path), mesh) == (2, 40)


@pytest.mark.parametrize(("text", "message"), [
    ("3,x", "dead cores must be whole numbers with commas between or a .json file, not '3,x'"),
    ("42", "dead cores must be cores 0 to 41, not 42"),
    ('{"width": 7, "height": 6, "dead": [-1]}', "key 'dead' must be cores 0 to 41, not -1"),
    ('{"width": 7, "height": 6}', "key 'dead' must be a list of core ids"),
    ('{"width": 117, "height": 6}', "key 'width' must be 7, not 117: made for another machine"),
    ("[]", "must hold one JSON object, not []"),
    ("{", "not JSON (")])
def test_bad_dead_cores(tmp_path, text, message):
    if text[0] in "[{":
        (tmp_path / "map.json").write_text(text)
        text = str(tmp_path / "map.json")
    with pytest.raises(OuroborosError) as error:
        dead_cores(text, load_machine("small").mesh)
    assert message in str(error.value)


def test_results_whose_folder_is_missing_are_refused_before_the_work():
    """Nothing is computed and then lost."""
    found = CliRunner().invoke(cli, ["htree", "--rows", "5", "--columns", "6",
                                     "--json", "no_such_folder/found.json"])
    assert found.exit_code == 2
    assert found.stderr == (
        "Error: no_such_folder/found.json: folder 'no_such_folder' must exist\n")
    assert "464" not in found.output


def test_dead_links():
    mesh = load_machine("small").mesh
    assert parse_links("", mesh) == ()
    assert parse_links("1:east, 23:North,", mesh) == (((2, 1), (3, 1)), ((3, 4), (3, 3)))


@pytest.mark.parametrize("text", ["2", "2:up", "x:east", "2:local", "1:east:3", "east:2"])
def test_bad_dead_links(text):
    with pytest.raises(OuroborosError) as error:
        parse_links(f"1:south,{text}", load_machine("small").mesh)
    assert str(error.value) == (
        f"dead links must be core:port with port one of north, east, south and west and commas "
        f"between, not {text!r}")


def test_dead_links_of_no_core():
    with pytest.raises(OuroborosError, match=r"^dead links must be of cores 0 to 41, not 42$"):
        parse_links("42:north", load_machine("small").mesh)
