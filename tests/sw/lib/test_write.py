import errno
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ouroboros.sw.lib import json_file
from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.write import (
    check_folder,
    check_output,
    check_outputs,
    json_text,
    replaced,
    write,
)

MARK = "ouroboros-test-1"
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")


def refused(path, words):
    return pytest.raises(FileError, match=f"^{path}: {words}")


def test_our_own_file_may_be_replaced(tmp_path):
    plain, packed = tmp_path / "x.json", tmp_path / "x.json.gz"
    write(plain, json_text({"a": 1}, MARK))
    json_file.write_object(packed, {"schema": MARK})
    assert packed.read_bytes()[:2] == b"\x1f\x8b"
    for path in (plain, packed):
        check_output(path, MARK)


@pytest.mark.parametrize("content", [
    b'{"name": "ouroboros"}', b'{"schema": "ouroboros-other-1"}', b"PK\x03\x04",
    gzip.compress(b"{}", mtime=0), b"\x1f\x8bno gzip", b"\0" * 5000 + MARK.encode()])
def test_a_file_of_others_is_refused_and_stays(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with refused(path, r"must be a new file, or one that this command wrote before "
                       r"\(ouroboros-test-1\): remove it or name another$"):
        check_output(path, MARK)
    assert path.read_bytes() == content


def test_new_and_empty_files_may_be_written(tmp_path):
    check_output(tmp_path / "new", MARK)
    (tmp_path / "empty").touch()
    check_output(tmp_path / "empty", MARK)
    check_output(Path("/dev/null"), MARK)


def test_folder_must_exist(tmp_path):
    path = tmp_path / "no" / "x"
    with refused(path, f"folder '{tmp_path}/no' must exist$"):
        check_output(path, MARK)


def test_outputs_are_no_inputs(tmp_path):
    path, link, hard = (tmp_path / name for name in ("i.json", "link", "hard"))
    path.write_text("{}")
    link.symlink_to(path)
    hard.hardlink_to(path)
    for out in (path, link, hard, tmp_path / "." / "i.json"):
        with refused(out, "must be another file than is read, for --out replaces it$"):
            check_outputs({"--out": out}, [tmp_path / "gone", path])
    check_outputs({"--out": tmp_path / "o.json"}, [path])


def test_outputs_are_not_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new, link = tmp_path / "x.json", tmp_path / "link"
    link.symlink_to(new)
    for other in (new, Path("x.json"), link):
        with refused(new, "must not be both --out and --json$"):
            check_outputs({"--out": new, "--json": other})
    check_outputs({"--out": Path("/dev/null"), "--json": Path("/dev/null")})


def test_folder_of_outputs(tmp_path):
    folder = tmp_path / "a" / "b"
    check_folder(folder, {"x": MARK}, {"--json": None})
    assert folder.is_dir()
    with refused(folder / "x", f"must not be both x of {folder} and --json$"):
        check_folder(folder, {"x": MARK}, {"--json": folder / "x"})
    (folder / "x").write_text("mine")
    with refused(folder / "x", "must be a new file"):
        check_folder(folder, {"x": MARK}, {})
    with refused(folder / "x", "File exists$"):
        check_folder(folder / "x", {}, {})


def test_numbers_of_numpy_are_numbers():
    found = json.loads(json_text({"a": np.float64(0.5), "b": np.int32(3), "c": None}, MARK))
    assert found == {"schema": MARK, "a": 0.5, "b": 3, "c": None}
    assert json_text({}, MARK).startswith('{\n  "schema": "ouroboros-test-1"')


@pytest.mark.parametrize(("results", "key"), [
    ({"a": float("nan")}, "a = nan"), ({"a": {"b": [1, float("inf")]}}, r"a.b\[1\] = inf"),
    ({"ok": 1, "a": [{"b": np.float32("nan")}]}, r"a\[0\].b = nan"),
    ({"a": -np.inf}, "a = -inf")])
def test_undefined_numbers_are_refused(results, key):
    with pytest.raises(FileError, match=f"^results must have finite numbers or null, but "
                                        f"ouroboros-test-1 has {key}$"):
        json_text(results, MARK)


def test_file_is_whole_or_as_before(tmp_path):
    path = tmp_path / "x.txt"
    write(path, "before")
    with pytest.raises(RuntimeError), replaced(path) as aside:
        aside.write_text("half")
        assert path.read_text() == "before"
        raise RuntimeError
    assert [one.name for one in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text() == "before"
    write(path, b"after")
    assert path.read_text() == "after"


def test_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.touch()
    link.symlink_to(real)
    write(link, "x")
    assert link.is_symlink()
    assert real.read_text() == "x"


def test_failure_of_the_disk_names_the_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("before")
    with refused(path, "No space left on device$"), replaced(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "before"


@needs_full
def test_full_disk():
    with refused(FULL, "No space left on device$"):
        write(FULL, "x")


def test_pipe_of_the_process():
    done = subprocess.run([sys.executable, "-c", (
        "from pathlib import Path; from ouroboros.sw.lib.write import write; "
        "write(Path('/dev/stdout'), 'x')")], capture_output=True, text=True, check=True)
    assert done.stdout == "x"


def test_pipes_are_written_themselves():
    write(Path("/dev/null"), "x")
    assert Path("/dev/null").is_char_device()
