import json
from pathlib import Path

import pytest

from ouroboros.sw.lib.errors import FileError
from ouroboros.tb.emit.folder import MANIFEST, SCHEMA, check_ours, fill


def filled(folder, files):
    check_ours(folder, {})
    fill(folder, files, json.dumps({"schema": SCHEMA, "files": dict.fromkeys(files)}))
    return {path.name for path in folder.iterdir()}


def test_own_files_are_replaced_and_old_ones_go(tmp_path):
    out = tmp_path / "a" / "b"
    assert filled(out, {"x.v": "1", "y.v": "2"}) == {MANIFEST, "x.v", "y.v"}
    assert filled(out, {"y.v": "3"}) == {MANIFEST, "y.v"}
    assert (out / "y.v").read_text() == "3"


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"schema": "mine", "files": {"x.v": 1}}'])
def test_files_of_others_are_refused(tmp_path, manifest):
    (tmp_path / "x.v").write_text("mine")
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)
    name = "x.v" if manifest is None else MANIFEST
    with pytest.raises(FileError) as raised:
        check_ours(tmp_path, {})
    assert str(raised.value) == (
        f"{tmp_path}: must be a new or empty folder, or one with nothing but what this command "
        f"wrote before, but it holds {name!r}: remove that, or name another folder with --out")


def test_a_file_that_came_later_is_refused(tmp_path):
    filled(tmp_path, {"x.v": "1"})
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match=r"it holds 'notes.txt'"):
        check_ours(tmp_path, {})


def test_other_outputs_are_outside(tmp_path):
    with pytest.raises(FileError, match=r"must not be both manifest.json of .* and --json"):
        check_ours(tmp_path, {"--json": tmp_path / MANIFEST})
    with pytest.raises(FileError, match=r"--json must be outside "):
        check_ours(tmp_path, {"--json": tmp_path / "r.json"})
    check_ours(tmp_path, {"--json": None, "--more": Path(tmp_path.parent / "r.json")})


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(FileError, match=r"x: File exists$"):
        check_ours(tmp_path / "x", {})
