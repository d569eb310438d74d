"""What of a machine is recorded, and when: a window of cycles, or the way of a token."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ouroboros.hw.params.packet import Kind
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.link import Link

__all__ = ["CORES_MAX", "SUFFIXES", "Marking", "Waves", "WavesError", "Window",
           "description", "parse_cores", "parse_window", "resolved", "views"]

SUFFIXES = (".fst", ".vcd")
"""Kinds of files, by the ends of their names."""
CORES_MAX = 64
"""Cores that are recorded without being named."""


class WavesError(OuroborosError):
    """Waves that cannot be recorded, or a file of them that cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """When it is recorded: by default always."""

    first: int = 0
    """First cycle since the simulation began, as in traces and messages."""
    last: int | None = None
    """Cycle after the last; None: to the end."""
    token: int | None = None
    """Instead: while this token, counted from 0 as they are sent, is in the machine."""
    stage: str = ""
    """Instead: while the first token is, and of the cores of this stage only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waves:
    """What is recorded."""

    path: Path
    """The file; views and transactions are written beside it."""
    window: Window = Window()
    """When."""
    cores: tuple[Position, ...] = ()
    """Which, each with its router; empty: those that hold a stage."""


def views(path: Path) -> Path:
    """Folder of what lies beside a file of waves."""
    return path.with_name(f"{path.name}.views")


def description(path: Path) -> Path:
    """The file in it that says what was recorded."""
    return views(path) / "waves.json"


def parse_window(text: str) -> Window:
    """``FROM:TO``, ``token N`` or ``stage NAME``; empty: all.

    Raises
    ------
    WavesError
        If it is none of these.
    """
    word, _, rest = text.strip().partition(" ")
    try:
        if not text.strip():
            return Window()
        if word == "token" and int(rest) >= 0:
            return Window(token=int(rest))
        if word == "stage" and rest.strip():
            return Window(stage=rest.strip())
        first, last = text.split(":")
        found = Window(first=int(first or 0), last=int(last) if last.strip() else None)
        if 0 <= found.first and (found.last is None or found.first < found.last):
            return found
    except ValueError:
        pass
    raise WavesError("waves_window must be FROM:TO in cycles with 0 <= FROM < TO, token N from 0, "
                     f"or stage NAME, not {text!r}")


def parse_cores(text: str) -> tuple[Position, ...]:
    """``X,Y;X,Y``; empty: none named.

    Raises
    ------
    WavesError
        If it is anything else.
    """
    found = []
    for part in text.split(";") if text.strip() else ():
        try:
            x, y = map(int, part.split(","))
        except ValueError:
            raise WavesError(f"waves_cores must be X,Y;X,Y;.. from 1, not {text!r}") from None
        found.append((x, y))
    return tuple(dict.fromkeys(found))


def resolved(waves: Waves, program: Program) -> Waves:
    """The same with its cores named, and a window of cycles or of a token.

    Raises
    ------
    WavesError
        If there is no such core or stage, or cores have to be named.
    """
    mesh, window = program.machine.mesh, waves.window
    for core in waves.cores:
        if core not in mesh.coordinates:
            raise WavesError(f"waves must be of cores of the {mesh.width} x {mesh.height} mesh, "
                             f"not of {core[0]},{core[1]}")
    cores = waves.cores
    if window.stage:
        known = {info.name: info.core for info in program.stages}
        if window.stage not in known:
            near = difflib.get_close_matches(window.stage, known, 3, 0.4) or sorted(known)[:5]
            raise WavesError(f"stage must be one of the program's, such as {', '.join(near)}, not "
                             f"{window.stage!r}")
        cores = cores or (known[window.stage],)
        window = Window(token=0)
    cores = cores or tuple(sorted({info.core for info in program.stages}))
    if len(cores) > CORES_MAX and not waves.cores:
        raise WavesError(f"waves of a program on {len(cores)} cores must name those wanted, at "
                         f"most {CORES_MAX} are taken unnamed: waves_cores X,Y;X,Y")
    return replace(waves, window=window, cores=cores)


class Marking:
    """A link that tells when a token goes in and when it is back.

    Parameters
    ----------
    link : Link
        What does the work.
    program : Program
        Which core sends the results.
    number : int
        The token, from 0 as they are sent.
    switch : callable
        Told True when it goes in, False when its result is back.
    """

    def __init__(self, link: Link, program: Program, number: int,
                 switch: Callable[[bool], None]):
        self.link, self.number, self.switch = link, number, switch
        self.result_core = program.result_core
        self.sent = 0
        self._token: tuple[int, int] | None = None

    async def send(self, packets: list[Packet]) -> None:
        """See ``Link``; the packets of a token are sent at once."""
        if packets and packets[0].header["kind"] == Kind.DATA:
            if self.sent == self.number:
                header = packets[0].header
                self._token = header["sequence"], header["position"]
                self.switch(True)
            self.sent += 1
        await self.link.send(packets)

    async def recv(self) -> Packet:
        """See ``Link``."""
        packet = await self.link.recv()
        self._came(packet)
        return packet

    def _came(self, packet: Packet) -> None:
        header = packet.header
        if (self._token is not None and header["kind"] == Kind.DATA
                and (header["sequence"], header["position"]) == self._token
                and (header["src_x"], header["src_y"]) == self.result_core):
            self._token = None
            self.switch(False)

    async def wait(self, cycles: int) -> None:
        """See ``Link``."""
        await self.link.wait(cycles)

    @property
    def cycles(self) -> int | None:
        """See ``Link``."""
        return self.link.cycles
