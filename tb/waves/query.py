"""Questions about waves, and their answers as lines."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from ouroboros.hw.params.packet import Kind
from ouroboros.hw.params.position import Position
from ouroboros.sw.runtime.waves import WavesError
from ouroboros.tb.waves.credits import accounts
from ouroboros.tb.waves.decode import Passed, passed, words
from ouroboros.tb.waves.stage import lengths, reasons
from ouroboros.tb.waves.transactions import transactions
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["QUERIES", "ask", "overview"]

LINES_MAX = 40
"""Lines of one part of an answer; the file of transactions has them all."""
LONGEST = 5
"""Waits of a stage that are listed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in parts."""

    rest: str
    """What follows its name, without the window."""
    first: int
    """First cycle."""
    last: int
    """Last cycle."""


def ask(wave: WaveFile, text: str) -> list[str]:
    """Answer ``core X,Y``, ``packet SEQUENCE:POSITION``, ``stage NAME``, ``credits [X,Y]``,
    ``signals X,Y [TEXT]`` or ``values X,Y SIGNAL``, each with a window ``FROM:TO`` if one is given.

    Raises
    ------
    WavesError
        If it is no such question, the window lies outside the recorded cycles, or there is no such
        core, stage or signal.
    """
    name, _, rest = text.strip().partition(" ")
    if name not in QUERIES:
        near = difflib.get_close_matches(name, QUERIES, 1)
        raise WavesError(f"query must be one of {', '.join(QUERIES)}, not {name!r}"
                         + (f"; near: {near[0]}" if near else ""))
    first, last = wave.first, wave.last
    # A packet is named like a window.
    window = re.search(r"(?:^|\s)(\d+):(\d+)$", rest.strip())
    if window is not None and (name != "packet" or rest.count(":") > 1):
        first, last = wave.cycle(int(window[1])), wave.cycle(int(window[2]))
        if first > last:
            raise WavesError(f"cycles must be FROM:TO with FROM <= TO, not {window[0].strip()}")
        rest = rest.strip()[:window.start()]
    return QUERIES[name](wave, Asked(rest.strip(), first, last))


def overview(wave: WaveFile) -> list[str]:
    """What a file holds."""
    lines = [f"{wave.path}: machine {wave.machine.name}, cycles {wave.first:,} to {wave.last:,}"]
    for core in wave.cores:
        names = sorted(one.name for one in wave.about.stages if one.core == core)
        lines.append(f"core {core[0]},{core[1]}: {', '.join(names) or 'no stage'}")
    return [*lines, ("ask with --query: core X,Y | packet SEQUENCE:POSITION | stage NAME | "
            "credits [X,Y] | signals X,Y [TEXT] | values X,Y SIGNAL, and a window FROM:TO")]


def _core(wave: WaveFile, text: str) -> Position:
    match = re.fullmatch(r"(\d+),(\d+)", text)
    if match is None:
        raise WavesError(f"core must be X,Y, not {text!r}")
    return wave.core((int(match[1]), int(match[2])))


def _did(wave: WaveFile, asked: Asked) -> list[str]:
    core = _core(wave, asked.rest)
    found = [one for one in transactions(wave) if one.core == core
             and one.first <= asked.last and one.last >= asked.first]
    lines = [(f"core {core[0]},{core[1]} in cycles {asked.first} to {asked.last}: "
             f"{len(found)} transactions")]
    return lines + _few([f"{one.first:>9} {one.last - one.first + 1:>6}  {one.track:<16} {one.text}"
                         for one in found])


def _went(wave: WaveFile, asked: Asked) -> list[str]:
    match = re.fullmatch(r"(\d+):(\d+)", asked.rest)
    if match is None:
        raise WavesError(f"packet must be SEQUENCE:POSITION, not {asked.rest!r}")
    token = int(match[1]), int(match[2])
    hops: dict[tuple[tuple[str, int], ...], list[Passed]] = {}
    for core in wave.cores:
        for into in (True, False):
            for one in passed(wave, core, asked.first, asked.last, into=into):
                if one.header["kind"] == Kind.DATA and (
                        one.header["sequence"], one.header["position"]) == token:
                    hops.setdefault(one.key, []).append(one)
    if not hops:
        raise WavesError(f"packet {asked.rest} passed no router that was recorded in cycles "
                         f"{asked.first} to {asked.last}")
    lines = []
    for way in sorted(hops.values(), key=lambda way: min(hop.cycles[0] for hop in way)):
        lines.append(words(way[0].header, wave.about.stage_names))
        for hop in sorted(way, key=lambda hop: (hop.cycles[0], not hop.into)):
            held = "" if hop.whole else "; its tail did not pass"
            lines.append(f"{hop.cycles[0]:>9} .. {hop.cycles[-1]:<9} router "
                         f"{hop.core[0]},{hop.core[1]} {'in' if hop.into else 'out'} "
                         f"{hop.port.name.lower()} vc {hop.vc}, {len(hop.cycles)} flits{held}")
    return _few(lines)


def _waited(wave: WaveFile, asked: Asked) -> list[str]:
    known = {one.name: one for one in wave.about.stages}
    if asked.rest not in known:
        near = difflib.get_close_matches(asked.rest, known, 3, 0.4) or sorted(known)[:5]
        raise WavesError(f"stage must be one of the program's, such as {', '.join(near)}, not "
                         f"{asked.rest!r}")
    stage = known[asked.rest]
    wave.core(stage.core)
    found = list(reasons(wave, stage.core, stage.index, asked.first, asked.last))
    total = asked.last - asked.first + 1
    lines = [(f"stage {stage.name}, core {stage.core[0]},{stage.core[1]}, cycles {asked.first} to "
             f"{asked.last}:")]
    lines += [f"{cycles:>9} {cycles / total:>6.1%}  {text}"
              for text, cycles in lengths(found).most_common(LINES_MAX)]
    longest = sorted(found, key=lambda one: one.first - one.last)[:LONGEST]
    return [*lines, "longest:", *(f"{one.first:>9} .. {one.last:<9} "
                                  f"{f'token {one.token}: ' if one.token else ''}{one.text}"
                                  for one in longest)]


def _credits(wave: WaveFile, asked: Asked) -> list[str]:
    cores = (_core(wave, asked.rest),) if asked.rest else wave.cores
    lines = [(f"link credits in cycles {asked.first} to {asked.last}: flits came, flits left the "
             "buffer, credits went back")]
    lost = []
    for core in cores:
        for one in accounts(wave, core, asked.first, asked.last):
            sender = "" if one.sender is None else f", sender has {one.sender} at the end"
            name = one.port.name.lower()
            lines.append(f"router {core[0]},{core[1]} input {name:<5} vc {one.vc}: "
                         f"{one.came:>5} {one.freed:>5} {one.back:>5}{sender}")
            if one.lost:
                cycles = ", ".join(map(str, one.lost[:4])) + (" .." if len(one.lost) > 4 else "")
                lost.append(f"LOST {len(one.lost)}: router {core[0]},{core[1]} input "
                            f"{name} vc {one.vc}: no credit for the flits of cycles {cycles}")
    return lines + (lost or ["none lost"])


def _signals(wave: WaveFile, asked: Asked) -> list[str]:
    core, _, text = asked.rest.partition(" ")
    at = _core(wave, core)
    found = wave.names(at, text.strip())
    if not found:
        raise WavesError(f"signals of core {core} must have {text.strip()!r} in their names, none "
                         "has")
    return _few(found)


def _values(wave: WaveFile, asked: Asked) -> list[str]:
    core, _, name = asked.rest.partition(" ")
    at = _core(wave, core)
    names = wave.about.names.get(name.strip(), {})
    return _few([f"{cycle:>9}  " + ("?" if value is None else names.get(value, f"{value:#x}"))
                 for cycle, value in wave.signal(at, name.strip()).changes(asked.first,
                                                                          asked.last)])


def _few(lines: list[str]) -> list[str]:
    rest = len(lines) - LINES_MAX
    return lines if rest <= 0 else [*lines[:LINES_MAX], f".. and {rest} more: narrow FROM:TO"]


QUERIES: dict[str, Callable[[WaveFile, Asked], list[str]]] = {
    "core": _did, "packet": _went, "stage": _waited, "credits": _credits, "signals": _signals,
    "values": _values}
"""By name."""
