"""A machine that is hurt while it runs: noticed, located, emptied, changed, and on it goes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.perf.stage_time import machine_time
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.device import Device
from ouroboros.sw.runtime.engine import Engine, Request
from ouroboros.sw.runtime.faults.probe import Found, locate
from ouroboros.sw.runtime.faults.replace import Contents, lost_turns, remap
from ouroboros.sw.runtime.faults.watchdog import RecoveryError, Silence, Watched
from ouroboros.sw.serving.request import Sequence

__all__ = ["ATTEMPTS", "Recovered", "Recovery", "run_cycles", "silence_limit"]

ATTEMPTS = 6
"""Recoveries without a token in between that are tried before the host gives up."""
MARGIN = 2
"""Time-out over the time that the model gives a token alone in the machine. Others may be in its
way; but then they come out themselves."""


@dataclass(kw_only=True, slots=True)
class Recovered:
    """One recovery; cycles are of the run."""

    noticed: int
    """When the host had waited for too long."""
    ended: int
    """When the first token went in again."""
    attempts: int
    """1, or more if it was hurt again meanwhile."""
    after_fault: int | None
    """Cycles from the first fault that this recovery is for to ``noticed``; None: there was none
    that the host put in."""
    probe_cycles: int
    """Of it: reset, and looking for what is lost."""
    load_cycles: int
    """Of it: writing what cores must be told, weights that have moved included."""
    probes: int
    """Links and cores asked."""
    dead_cores: list[Position] = field(default_factory=list)
    """Cores without an answer, known ones included."""
    dead_links: list[tuple[Position, Position]] = field(default_factory=list)
    """Links that lose packets between cores that answer."""
    moved: list[tuple[Position, Position]] = field(default_factory=list)
    """(from, to) of parts of the program that have a new core."""
    packets: int = 0
    """Configuration packets sent."""
    tokens_again: int = 0
    """Tokens sent again: those under way, and those whose KV was lost."""

    @property
    def cycles(self) -> int:
        """From notice to the first token."""
        return self.ended - self.noticed


def silence_limit(program: Program, positions: int) -> int:
    """Cycles without a flit at the host's port that a sound machine never takes."""
    return MARGIN * _latency(program, positions)


def run_cycles(program: Program, positions: int, generated: int) -> int:
    """Cycles in which so many tokens are generated one after the other, about."""
    return generated * _latency(program, positions)


def _latency(program: Program, positions: int) -> int:
    """Of a token alone in the machine, the last of so many."""
    token = Token(min(positions, program.context) - 1, int(Flag.STREAM))
    return machine_time(program, read_stages(program), token).latency


class Recovery:
    """Runs an engine to its end, through whatever happens to the machine.

    The host notices by ``Silence``. Then it resets the machine, which empties the network and the
    cores of packets and tokens, while macros, tables and KV stay; finds out what does not answer
    (``probe``); lays the program around it (``replace``); writes what is new, and the few registers
    that a reset empties; and sends again what was under way, and what had its KV in a lost core.

    Parameters
    ----------
    link : Watched
        To the machine.
    model : QuantModel
        What is computed.
    engine : Engine
        Serves over ``link``; its program is loaded.
    lay : callable
        Lays a program around what was found (``remap``).
    """

    def __init__(self, link: Watched, model: QuantModel, engine: Engine,
                 lay: Callable[[Program, QuantModel, Found], Program] = remap):
        self.link, self.model, self.engine, self._lay = link, model, engine, lay
        self.contents = Contents(engine.program)
        self.recovered: list[Recovered] = []
        self._told = 0
        self._before: tuple[set[Position], list[tuple[Position, Position]]] | None = None

    @property
    def machine(self) -> Machine:
        """Which."""
        return self.engine.program.machine

    async def run(self) -> None:
        """Serve until every request has ended.

        Raises
        ------
        RecoveryError
            If the machine cannot be brought back.
        """
        while True:
            try:
                await self.engine.run()
                return
            except Silence:
                await self._recover()

    async def _recover(self) -> None:
        noticed = self.link.run_cycles
        come = self.link.hurts.come[self._told:]
        after = noticed - come[0].cycle if come else None
        if any(one.leaving and one.flying for one in self.engine.scheduler.active):
            # A FREE that was cut off may have left blocks that no sequence has.
            self.contents.forget_kv()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                record = await self._attempt(noticed, after, attempt)
            except Silence:
                continue
            except RecoveryError:
                raise
            except OuroborosError as error:
                raise RecoveryError(f"the machine was hurt in cycle {noticed} of the run and "
                                    f"cannot go on: {error}") from error
            self._told = len(self.link.hurts.come)
            self.recovered.append(record)
            return
        raise RecoveryError(f"the machine was hurt in cycle {noticed} of the run, and again in "
                            f"each of {ATTEMPTS} recoveries: no token came between them")

    async def _attempt(self, noticed: int, after: int | None, attempt: int) -> Recovered:
        link, old = self.link, self.engine.program
        await link.reset()
        found = await locate(link, self.machine)
        located = link.run_cycles
        # What was found last time was not all, so it may be where the host cannot ask.
        state = found.alive, found.dead_links
        found.wary, self._before = state == self._before, state
        program = self._lay(old, self.model, found)
        device = Device(link, program)
        lost = [core for core in program.images if not self.contents.keeps_kv(program, core)]
        sent = await self._load(device, program)
        again = self.engine.restart(
            program, lambda sequence: _kept(program, lost, sequence))
        return Recovered(
            noticed=noticed, ended=link.run_cycles, attempts=attempt, after_fault=after,
            probe_cycles=located - noticed, load_cycles=link.run_cycles - located,
            probes=found.probes, dead_cores=sorted(
                set(self.machine.mesh.coordinates) - found.alive),
            dead_links=found.dead_links,
            moved=[(was.core, now.core) for was, now in zip(old.roles, program.roles, strict=False)
                   if was.core != now.core],
            packets=sent, tokens_again=again)

    async def _load(self, device: Device, program: Program) -> int:
        network = device.network_packets()
        self.link.hurts.program = program
        if network and program.detours is not None:
            await self.link.send(network)
            await device.together(core for core, _ in program.detours.writes)
        sent = len(network)
        writes = {core: self.contents.missing(program, core) for core in program.images}
        for core, missing in writes.items():
            self.contents.sent(core, missing)
            packets = [packet for write in missing for packet in device.write(core, write)]
            await self.link.send(packets)
            sent += len(packets)
        await device.together(writes)
        for core in writes:
            self.contents.written(program, core)
        return sent


def _kept(program: Program, lost: list[Position], sequence: Sequence[Request]) -> int:
    """First position whose KV was in a core that has lost it; else the next one."""
    size = program.machine.block_tokens
    first = sequence.next
    for members, member, ring in lost_turns(program, lost):
        turn = (member - sequence.id * ring) % members
        first = min(first, turn * size)
    return first
