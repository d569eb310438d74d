"""Sets the project up: ``python3 tb/flow/setup.py [--extra test]``.

Installs missing Debian packages, makes ``.venv`` and installs the project into it. Run again, it
sees that nothing changed and does nothing. Standard library only, for any Python from 3.8 on.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "ouroboros.json"
PYTHON_MIN = (3, 11)
PYTHONS = ("python3", "python3.13", "python3.12", "python3.11", "python3.14")
PROGRAMS = {"g++": "g++", "make": "make", "perl": "perl", "iverilog": "iverilog"}
PROGRAMS_FORMAL = {"berkeley-abc": "berkeley-abc"}
"""Program: Debian package that has it; the latter only for the extra ``formal``."""

FACTS = """
import ctypes.util, importlib.util, json, os, sys, sysconfig
name = sysconfig.get_config_var("LDLIBRARY") or ""
folders = [sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("LIBDIR") or ""]
folders[1] = os.path.join(folders[0], sysconfig.get_config_var("MULTIARCH") or "")
library = "libpython%d.%d.so.1.0" % sys.version_info[:2]
print(json.dumps({
    "version": sys.version_info[:2],
    "debian": sys.base_prefix == "/usr",
    "venv": bool(importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv")),
    "library": any(os.path.exists(os.path.join(folder, library)) for folder in folders)
               or ctypes.util.find_library("python%d.%d" % sys.version_info[:2]) is not None,
}))
"""


class SetupError(Exception):
    """The project cannot be set up; the message says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extra", action="append", default=[],
                        choices=["formal", "serve", "test", "train"],
                        help="also install these optional dependencies")
    arguments = parser.parse_args()
    try:
        refuse_space(ROOT)
        setup(set(arguments.extra))
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 2
    return 0


def refuse_space(root):
    """Say before any work that simulators cannot be built in this folder."""
    if not re.fullmatch(r"[\w./+@=,~-]+", str(root)):
        raise SetupError(f"path of the project must have letters, digits and ./+@=,~_- only, as "
                         f"Verilator's make files take other paths apart, not {str(root)!r}")


def setup(extras):
    """Bring the machine and ``.venv`` to the state that ``pyproject.toml`` asks for."""
    if os.name != "posix":
        raise SetupError("the simulators need Linux, for example Debian 12 or WSL 2")
    python = find_python()
    if python is None:
        install(["python3.11", "python3.11-venv", "libpython3.11"],
                "Python >= 3.11 is needed, but this machine has {}.{}".format(*sys.version_info))
        python = find_python()
    if python is None:
        raise SetupError("Python >= 3.11 is needed and this system's packages have none; "
                         "install one so that 'python3.11' is on PATH")
    facts = facts_of(python)
    if packages := missing_packages(facts, extras):
        install(packages, f"{', '.join(packages)} must be installed")
    make_venv(python, facts)
    install_project(extras)


def find_python():
    """A Python that is new enough: that of ``.venv``, this one, or another on PATH."""
    for name in (str(VENV / "bin" / "python"), sys.executable, *PYTHONS):
        path = shutil.which(name)
        if path is not None and new_enough(path):
            return path
    return None


def new_enough(python):
    """Whether a Python interpreter is there, works and is one the project runs on."""
    facts = facts_of(python) if Path(python).exists() else None
    return facts is not None and tuple(facts["version"]) >= PYTHON_MIN


def facts_of(python):
    """What a Python interpreter is and has; None if it does not run."""
    run = subprocess.run([python, "-c", FACTS], capture_output=True, text=True, check=False)
    return json.loads(run.stdout) if run.returncode == 0 else None


def missing_packages(facts, extras=frozenset()):
    """Debian packages that simulations, or proofs, need and this machine lacks."""
    programs = PROGRAMS | (PROGRAMS_FORMAL if "formal" in extras else {})
    packages = [package for program, package in programs.items() if shutil.which(program) is None]
    python = "python{}.{}".format(*facts["version"])
    if facts["debian"] and not facts["venv"]:
        packages.append(f"{python}-venv")
    # cocotb loads Python as a library into the simulator.
    if facts["debian"] and not facts["library"]:
        packages.append(f"lib{python}")
    return packages


def install(packages, reason):
    """Install Debian packages, or say what to type."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    by_hand = f"{reason}; type: sudo apt-get update && sudo {' '.join(command)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"{reason}; install what your system calls {', '.join(packages)}")
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and (shutil.which("sudo") is None or subprocess.run(
            [*sudo, "true"], capture_output=True, check=False).returncode):
        raise SetupError(by_hand)
    print(f"setup: installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update", "-q"], command):
        if subprocess.run([*sudo, *step], env=environment, check=False).returncode:
            raise SetupError(by_hand)
    if shutil.which("ccache") is None:
        subprocess.run([*sudo, *command[:4], "ccache"], env=environment, check=False)


def make_venv(python, facts):
    """Make ``.venv`` unless there is one that works and has pip."""
    inside = str(VENV / "bin" / "python")
    if new_enough(inside) and subprocess.run([inside, "-m", "pip", "--version"],
                                             capture_output=True, check=False).returncode == 0:
        return
    print(f"setup: making .venv with Python {'.'.join(map(str, facts['version']))}")
    run([python, "-m", "venv", "--clear", str(VENV)], "python -m venv failed")


def install_project(extras):
    """Install the project and its dependencies, unless that was done for this pyproject.toml."""
    stamp = json.loads(STAMP.read_text()) if STAMP.exists() else {"key": "", "extras": []}
    key = hashlib.sha256(b"\0".join([
        (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode(),
        json.dumps(facts_of(str(VENV / "bin" / "python"))).encode()])).hexdigest()
    wanted = sorted(extras | set(stamp["extras"]))
    if stamp == {"key": key, "extras": wanted}:
        return
    print("setup: installing the project and its dependencies into .venv")
    target = f"{ROOT}[{','.join(wanted)}]" if wanted else str(ROOT)
    run([str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", "--editable", target],
        "pip could not install the dependencies (is there a network?)")
    STAMP.write_text(json.dumps({"key": key, "extras": wanted}))


def run(command, failure):
    """Run a command; what it prints shows only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        raise SetupError(failure)


if __name__ == "__main__":
    sys.exit(main())
