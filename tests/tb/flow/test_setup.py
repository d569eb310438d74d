import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ouroboros.tb.flow import setup
from ouroboros.tb.flow.setup import (
    SetupError,
    facts_of,
    install,
    install_project,
    missing_packages,
    new_enough,
)

DEBIAN = {"version": [3, 11], "debian": True, "venv": True, "library": True}


def refused(message: str):
    return pytest.raises(SetupError, match=f"^{re.escape(message)}$")


@pytest.fixture
def which(monkeypatch):
    """The programs this machine seems to have; changed by the test."""
    there = {*setup.PROGRAMS, "apt-get", "sudo"}
    monkeypatch.setattr(setup.shutil, "which",
                        lambda name: f"/bin/{name}" if name in there else None)
    return there


@pytest.fixture
def commands(monkeypatch):
    """Commands that would have been run, and those of them that fail."""
    seen, failing = [], set()

    def run(command, **options):
        seen.append(command)
        return subprocess.CompletedProcess(command, int(" ".join(command) in failing), b"", b"")

    monkeypatch.setattr(setup.subprocess, "run", run)
    return seen, failing


def test_facts_of_this_python():
    facts = facts_of(sys.executable)
    assert facts["version"] == list(sys.version_info[:2])
    assert new_enough(sys.executable)


def test_no_python():
    assert not new_enough("/nonexistent/python")


def test_nothing_missing(which):
    assert missing_packages(DEBIAN) == []


def test_programs_missing(which):
    which -= {"g++", "iverilog"}
    assert missing_packages(DEBIAN) == ["g++", "iverilog"]
    assert missing_packages(DEBIAN, {"formal"}) == ["g++", "iverilog", "berkeley-abc"]


def test_parts_of_python_missing(which):
    bare = {**DEBIAN, "venv": False, "library": False}
    assert missing_packages(bare) == ["python3.11-venv", "libpython3.11"]
    assert missing_packages({**bare, "debian": False}) == []


def test_no_apt(which):
    which.remove("apt-get")
    with refused("make must be installed; install what your system calls make"):
        install(["make"], "make must be installed")


def test_no_right_to_install(which, commands, monkeypatch):
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    commands[1].add("sudo -n true")
    with refused("make must be installed; type: sudo apt-get update && "
                 "sudo apt-get install -y --no-install-recommends make"):
        install(["make"], "make must be installed")


@pytest.mark.parametrize("user, sudo", [(0, []), (1000, ["sudo", "-n"])])
def test_install(which, commands, monkeypatch, user, sudo):
    monkeypatch.setattr(setup.os, "geteuid", lambda: user)
    install(["make", "g++"], "")
    steps = [command for command in commands[0] if "apt-get" in command]
    prefix = ["apt-get", "install", "-y", "--no-install-recommends"]
    assert steps == [[*sudo, "apt-get", "update", "-q"], [*sudo, *prefix, "make", "g++"],
                     [*sudo, *prefix, "ccache"]]


@pytest.fixture
def stamped(monkeypatch, tmp_path):
    """A stamp in a folder of its own, and the pip commands that were run."""
    ran = []
    monkeypatch.setattr(setup, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(setup, "run", lambda command, failure: ran.append(command[-1]))
    return ran


def test_installed_once(stamped):
    install_project(set())
    install_project(set())
    assert stamped == [str(setup.ROOT)]


def test_extras_add_up(stamped):
    install_project(set())
    install_project({"test"})
    install_project(set())
    install_project({"train"})
    assert stamped == [f"{setup.ROOT}{extras}" for extras in ("", "[test]", "[test,train]")]
    assert json.loads(Path(setup.STAMP).read_text())["extras"] == ["test", "train"]


def test_installed_again_after_a_change(stamped, monkeypatch, tmp_path):
    install_project({"test"})
    (tmp_path / "pyproject.toml").write_text("changed")
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    install_project(set())
    assert stamped[-1] == f"{tmp_path}[test]"


def test_failure_is_one_line(monkeypatch, capsys):
    def fail(extras):
        raise SetupError("this and that")

    monkeypatch.setattr(setup, "setup", fail)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert setup.main() == 2
    assert capsys.readouterr().err == "setup: this and that\n"


@pytest.mark.parametrize("name", ["my projects", "a\tb", "a$b", "copy (1)"])
def test_refused_before_any_work_in_a_folder_that_make_takes_apart(monkeypatch, capsys, tmp_path,
                                                                   name):
    monkeypatch.setattr(setup, "ROOT", tmp_path / name)
    monkeypatch.setattr(setup, "setup", lambda extras: pytest.fail("work was begun"))
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert setup.main() == 2
    assert capsys.readouterr().err == (
        "setup: path of the project must have letters, digits and ./+@=,~_- only, as Verilator's "
        f"make files take other paths apart, not {str(tmp_path / name)!r}\n")
