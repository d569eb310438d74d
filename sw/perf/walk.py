"""One token through an otherwise empty machine: when each stage starts and ends."""

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.control import ACCEPT_CYCLES, DISPATCH_CYCLES, ISSUE_CYCLES
from ouroboros.hw.params.timing.network import (
    CREDIT_CYCLES,
    HOP_CYCLES,
    HOST_CYCLES,
    HOST_FIRST_CYCLES,
    LEAVE_CYCLES,
)
from ouroboros.sw.perf.contention import Flow, delays
from ouroboros.sw.perf.copies import border_cycles, packet_times, seen_cycles
from ouroboros.sw.perf.cycles import latency
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.program.image import Link, Stage, Token, packet_flits, unicast
from ouroboros.sw.program.program import EmbedTarget, Program

__all__ = ["Reserved", "Running", "StageWalk", "Walk", "credit_delay", "head_dim",
           "injected_flits", "walk"]


_Place = tuple[Position, int]
"""A core, and the number of a stage there."""


@dataclass(slots=True)
class StageWalk:
    """One stage's part of a walk; cycles since the host offered the token's first flit."""

    stage: Stage
    """The stage."""
    allocated: int | None = None
    """Its first header has been looked up: the slot is taken."""
    start: int = 0
    """The first WAIT is met (``start`` of the hardware's trace)."""
    end: int = 0
    """END (``end`` of the trace)."""
    waiting: int = 0
    """Cycles in which it waited for operands after ``start``."""

    @property
    def serial(self) -> int:
        """Cycles of its program without waits."""
        return self.end - self.start - self.waiting


@dataclass(frozen=True, slots=True)
class Reserved:
    """A slot reserved for the token."""

    core: Position
    """By the stage of this core, or the host at this port."""
    stage: int
    """Number of that stage; 0 for the host."""
    cycle: int
    """In which the SEND that takes the credit is accepted."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One token's way through the machine."""

    token: Token
    """The token."""
    stages: tuple[StageWalk, ...]
    """Those that took part, in the order of their ends."""
    result: int
    """Cycle in which the host has the result packet."""
    reserved: dict[tuple[Position, int], list[Reserved]]
    """For every (core, stage): who took a credit for a slot of it, and when."""


class Running:
    """A stage at work: runs its program until it lacks an operand.

    Parameters
    ----------
    machine : Machine
        Sizes.
    stage : Stage
        Its program.
    token : Token
        The token that it works for.
    held : Mapping[int, int], optional
        Cycles by which a SEND takes longer since others send to the same place, by its number.
    """

    def __init__(self, machine: Machine, stage: Stage, token: Token,
                 held: Mapping[int, int] | None = None):
        self.machine, self.stage, self.token, self.held = machine, stage, token, held or {}
        self.walk = StageWalk(stage)
        self.seen: list[list[int]] = [[], [], [], []]
        self.at = 0         # index of the next instruction
        self.pick = 0       # cycle in which the dispatcher picks it
        self.started = False
        self.ended = False

    def arrive(self, operand: int, allocated: int, counts: int) -> None:
        """A packet: its header is looked up, its count is seen in these cycles."""
        if self.walk.allocated is None:
            self.walk.allocated = self.pick = allocated
        self.seen[operand].append(counts)

    def run(self) -> list[tuple[int, int]]:
        """Executes what can be: cycles in which the send unit takes SENDs, and their numbers in
        the program.
        """
        sent: list[tuple[int, int]] = []
        while not self.ended and self.walk.allocated is not None:
            i, flags = self.stage.code[self.at], self.token.flags
            if not i.runs(flags):
                self.pick += DISPATCH_CYCLES
            elif i.op is Op.END:
                self.walk.end, self.ended = self.pick + 1, True
            elif i.op is Op.WAIT:
                packets = i.fields["packets"]
                if len(self.seen[i.fields["operand"]]) < packets:
                    return sent
                ready = max([self.pick, *self.seen[i.fields["operand"]][:packets]])
                if ready > self.pick + 1:       # parked in between
                    ready = max(ready, self.pick + DISPATCH_CYCLES)
                    if self.started:
                        self.walk.waiting += ready - self.pick
                    self.pick = ready
                if not self.started:
                    self.started, self.walk.start = True, self.pick + 1
                self.pick += DISPATCH_CYCLES
            else:
                if i.op is Op.SEND:
                    sent.append((self.pick + ACCEPT_CYCLES, self.at))
                self.pick += (ISSUE_CYCLES + latency(self.machine, self.stage, i, self.token)
                              + self.held.get(self.at, 0))
            self.at += 1
        return sent


def walk(program: Program, stages: Sequence[Stage], token: Token) -> Walk:
    """Send one token through the machine, nothing else being under way.

    What several cores send the host at once, logits, shares its port (``sw.perf.contention``); of
    other packets none is taken to meet another.

    Raises
    ------
    PerfError
        If it never gets to the host: some stage waits for packets that nobody sends.
    """
    found, to_host = _walk(program, stages, token, {})
    # Who is held up later sends what follows later, so that is known in a second walk.
    senders = [sender for sender, flow in to_host if flow.flits > 1]
    held: dict[_Place, dict[int, int]] = {}
    for (place, at), late in zip(senders, delays([flow for _, flow in to_host if flow.flits > 1]),
                                 strict=True):
        if late:
            held.setdefault(place, {})[at] = late
    return _walk(program, stages, token, held)[0] if held else found


def _walk(program: Program, stages: Sequence[Stage], token: Token,
          held: Mapping[_Place, Mapping[int, int]],
          ) -> tuple[Walk, list[tuple[tuple[_Place, int], Flow]]]:
    """A walk, and what it sends the host: which SEND of which stage, and its flits."""
    machine = program.machine
    running = {(s.info.core, s.info.index): Running(
        machine, s, token, held.get((s.info.core, s.info.index))) for s in stages}
    to_host: list[tuple[tuple[_Place, int], Flow]] = []
    reserved: dict[tuple[Position, int], list[Reserved]] = {key: [] for key in running}
    owned = {owner: key for key, run in running.items() for owner in run.stage.owners}
    result: int | None = None
    wires: dict[Link, int] = {}
    for core, stage, operand, allocated, counts in _injection(program, head_dim(stages), wires):
        running[core, stage].arrive(operand, allocated, counts)
    for target in program.embed:
        reserved[target.core, target.stage].append(Reserved(machine.host, 0, 0))
    # SENDs by when they are accepted, since narrow borders take packets in that order.
    todo: list[tuple[int, int, Running, int]] = []

    def run(one: Running) -> None:
        for accepted, at in one.run():
            heapq.heappush(todo, (accepted, next(order), one, at))

    order = itertools.count()
    for one in running.values():
        if one.walk.allocated is not None:
            run(one)
    while todo:
        accepted, _, sender, at = heapq.heappop(todo)
        send, info = sender.stage.code[at], sender.stage.info
        flits, delivery = send.fields["flits"], sender.stage.dests[send.fields["dest"]]
        if send.fields["acquire"]:
            for counter in range(machine.core.credits):
                if delivery.counters >> counter & 1 and (info.core, counter) in owned:
                    reserved[owned[info.core, counter]].append(
                        Reserved(info.core, info.index, accepted))
        arrivals = packet_times(machine, accepted + LEAVE_CYCLES, delivery.routes, flits, wires)
        for route in delivery.routes:
            times = arrivals[route.target]
            if route.target == machine.host:
                place = info.core, info.index
                late = held.get(place, {}).get(at, 0)
                result = max(result or 0, times[-1][1] + late + HOST_CYCLES)
                to_host.append(((place, at), Flow(
                    accepted + LEAVE_CYCLES, packet_flits(flits), route.links)))
                continue
            key = (route.target, delivery.stage)
            for looked_up, counted in seen_cycles(times, flits):
                running[key].arrive(delivery.operand, looked_up, counted)
            run(running[key])
    stuck = [run.stage.info.name for run in running.values() if not run.ended]
    if result is None or stuck:
        raise PerfError(f"every stage of the program must get all its operands, not {stuck}")
    return Walk(token, tuple(sorted((run.walk for run in running.values()),
                                    key=lambda stage: stage.end)), result, reserved), to_host


def _injection(program: Program, channels: int,
               wires: dict[Link, int]) -> list[tuple[Position, int, int, int, int]]:
    """Packets of a token from the host: (core, stage, operand, header looked up, count seen)."""
    machine, at = program.machine, HOST_FIRST_CYCLES
    found: list[tuple[Position, int, int, int, int]] = []
    for target in program.embed:
        route = unicast(machine.mesh, machine.host, target.core)
        for flits in injected_flits(program, target, channels):
            times = packet_times(machine, at, [route], flits, wires)[target.core]
            found += [(target.core, target.stage, 0, *seen) for seen in seen_cycles(times, flits)]
            at += packet_flits(flits)
    return found


def head_dim(stages: Sequence[Stage]) -> int:
    """Channels of one head, as the KV cores are told."""
    return next((s.kv["head_dim"] for s in stages if s.kv is not None), 0)


def injected_flits(program: Program, target: EmbedTarget, channels: int) -> list[int]:
    """Payload flits of each vector of a token that the host sends to a residual slice."""
    flit_bytes = program.machine.noc.flit_bits // 8
    sizes = [2 * target.channels, *([2 * channels] if target.rope_offset >= 0 else [])]
    return [-(-size // flit_bytes) for size in sizes]


def credit_delay(machine: Machine, source: Position, target: Position) -> int:
    """From the act of END in ``source`` to the credit in the counter of ``target``."""
    links = unicast(machine.mesh, source, target).links
    return CREDIT_CYCLES + sum(HOP_CYCLES + border_cycles(machine, link) for link in links)
