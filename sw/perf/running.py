"""The machine at work: tokens in the slots of its cores, and vectors on its links.

A core's dispatcher picks the oldest slot that can go on, its units take one instruction at a time,
results wait for the drain registers, SENDs wait for the credits of slots, and vectors for links.
"""

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.array import drop_cycles
from ouroboros.hw.params.timing.control import ACCEPT_CYCLES, DISPATCH_CYCLES, ISSUE_CYCLES
from ouroboros.hw.params.timing.network import (
    HOST_CYCLES,
    HOST_FIRST_CYCLES,
    LEAVE_CYCLES,
)
from ouroboros.hw.params.timing.sfu import reads_c, sfu_beats, sfu_occupancy
from ouroboros.sw.perf.array_queue import ArrayQueue
from ouroboros.sw.perf.copies import seen_cycles
from ouroboros.sw.perf.core_queue import Core, Work
from ouroboros.sw.perf.cycles import last_beats, latency, vector_length
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.host import Host
from ouroboros.sw.perf.walk import credit_delay, head_dim, injected_flits
from ouroboros.sw.perf.wires import Wires
from ouroboros.sw.program.image import (
    Instruction,
    Route,
    Stage,
    Token,
    packet_flits,
    unicast,
)
from ouroboros.sw.program.program import Program

__all__ = ["STUCK", "Flow", "Running", "Span"]

_ARRAY = frozenset({Op.LOAD, Op.MVM, Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE})
STUCK = "every token must get to the host as stages feed each other, and {} do not"
CREDIT_EVERY = 2
"""Cycles from a credit that a core sends to its next."""


@dataclass(frozen=True, slots=True)
class Span:
    """One token in one stage."""

    start: int
    """Its first WAIT is met."""
    end: int
    """Its END."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Cycles since the host offered the first token's first flit."""

    tokens: tuple[Token, ...]
    """In the order in which they went in, which is their number."""
    spans: Mapping[tuple[Position, int, int], Span]
    """By core, number of the stage and of the token."""
    results: tuple[int, ...]
    """When the host has each token's result, by number of the token."""


class Running:
    """The machine at work; events are (cycle, number, what)."""

    def __init__(self, program: Program, stages: Sequence[Stage], host: Host):
        self.program, self.machine, self.host = program, program.machine, host
        self.tokens: list[Token] = []
        self.stages = {(s.info.core, s.info.index): s for s in stages}
        self.cores: dict[Position, Core] = {}
        for stage in stages:
            self.cores.setdefault(stage.info.core, Core(ArrayQueue(self.machine)))
        for stage in stages:
            for owner, counter in stage.owners:
                if owner in self.cores:
                    self.cores[owner].credits[counter] = stage.info.slots
        self.host_credits = {t.counter: t.slots for t in program.embed}
        self.host_free = 0
        self.channels = head_dim(stages)
        self.wires = Wires(self.machine)
        self.works: dict[tuple[Position, int, int], Work] = {}
        self.spans: dict[tuple[Position, int, int], Span] = {}
        self.results: dict[int, int] = {}
        self.backs: dict[int, int] = {}
        self.owed: list[int] = []
        self.vectors: dict[int, int] = {}
        self.events: list[tuple[int, int, Position | None]] = []
        self.arrivals: dict[int, list[tuple[tuple[Position, int, int], int, int, int]]] = {}
        self.credits: dict[int, tuple[Position, int]] = {}
        self.order = itertools.count()
        self.latencies: dict[tuple[int, int, int, int, int], int] = {}

    def run(self) -> Flow:
        """Until nothing happens any more."""
        self.inject(0)
        while (event := self.next_event()) is not None:
            now, number, core = event
            if number in self.credits:
                owner, counter = self.credits.pop(number)
                if owner == self.machine.host:
                    self.host_credits[counter] += 1
                    self.host.credit(counter)
                    self.inject(now)
                    continue
                self.cores[owner].credits[counter] += 1
            elif number in self.backs:
                self.host.back(self.backs.pop(number), now)
                self.inject(now)
                continue
            elif number in self.arrivals:
                for place, operand, allocated, counts in self.arrivals.pop(number):
                    self.arrive(place, operand, allocated, counts)
            if core is not None:
                self.cores[core].looks.discard(now)
                self.step(core, now)
        if any(self.owed):
            raise PerfError(STUCK.format(sum(map(bool, self.owed))))
        return Flow(tuple(self.tokens), self.spans,
                    tuple(self.results[n] for n in range(len(self.tokens))))

    def next_event(self) -> tuple[int, int, Position | None] | None:
        """The next thing that happens."""
        return heapq.heappop(self.events) if self.events else None

    def wake(self, core: Position, cycle: int) -> None:
        """Have a core's dispatcher look at its slots."""
        # Many events ask for the same cycle, in which one look is enough.
        if cycle not in self.cores[core].looks:
            self.cores[core].looks.add(cycle)
            heapq.heappush(self.events, (cycle, next(self.order), core))

    # The network

    def inject(self, now: int) -> None:
        """What the host may send."""
        while all(count > 0 for count in self.host_credits.values()):
            token = self.host.next(now)
            if token is None:
                return
            number, at = len(self.tokens), max(now, self.host_free) + HOST_FIRST_CYCLES
            self.tokens.append(token)
            self.owed.append(self.results_of(token.flags))
            for target in self.program.embed:
                self.host_credits[target.counter] -= 1
                route = unicast(self.machine.mesh, self.machine.host, target.core)
                for flits in injected_flits(self.program, target, self.channels):
                    self.deliver(number, self.machine.host, (route,), target.stage, 0, flits, at)
                    at += packet_flits(flits)
            self.host_free = at - HOST_FIRST_CYCLES

    def results_of(self, flags: int) -> int:
        """Vectors that the host gets of a token with these flags."""
        if flags not in self.vectors:
            self.vectors[flags] = sum(
                route.target == self.machine.host for stage in self.stages.values()
                for send in stage.sends(flags) for route in send.delivery.routes)
        return self.vectors[flags]

    def deliver(self, number: int, source: Position, routes: tuple[Route, ...], stage: int,
                operand: int, flits: int, first: int) -> None:
        """Have a vector come to its targets.

        Parameters
        ----------
        number : int
            Of its token.
        first : int
            Cycle in which its first header is on the link into the first router.
        """
        for target, times in self.wires.send(routes, flits, first):
            if target == self.machine.host:
                self.come_back(number, times[-1][1])
                continue
            place = (target, stage, number)
            for looked_up, counted in seen_cycles(times, flits):
                event = next(self.order)
                self.arrivals[event] = [(place, operand, looked_up, counted)]
                heapq.heappush(self.events, (looked_up, event, target))

    def come_back(self, number: int, tail: int) -> None:
        """A vector of a token's results is on the link to the host."""
        self.results[number] = max(self.results.get(number, 0), tail + HOST_CYCLES)
        self.owed[number] -= 1
        if not self.owed[number]:
            event = next(self.order)
            self.backs[event] = number
            heapq.heappush(self.events, (self.results[number], event, None))

    def arrive(self, place: tuple[Position, int, int], operand: int, allocated: int,
               counts: int) -> None:
        """A packet's header is looked up; its count is seen later."""
        core, work = place[0], self.allocate(place, allocated)
        work.seen[operand].append(counts)
        instruction = work.stage.code[work.at]
        if work.ready is None and instruction.op is Op.WAIT:
            work.wait(instruction, allocated)
            if work.ready is not None:
                self.wake(core, work.ready)

    def allocate(self, place: tuple[Position, int, int], cycle: int) -> Work:
        """The slot of a token in a stage, which its first packet takes."""
        work = self.works.get(place)
        if work is None:
            core, stage, number = place
            work = self.works[place] = Work(self.stages[core, stage], self.tokens[number], number,
                                            ready=cycle)
            self.cores[core].slots.append(work)
        return work

    # A core

    def step(self, at: Position, now: int) -> None:
        """Dispatch one instruction of the oldest slot that can go on."""
        core = self.cores[at]
        if now < core.free:
            if core.slots:
                self.wake(at, core.free)
            return
        for work in core.slots:
            if work.ready is None or work.ready > now:
                continue
            if work.parked and not core.can(work, now):
                continue
            self._dispatch(at, core, work, now)
            core.free = now + DISPATCH_CYCLES
            break
        else:
            soon = core.wakes(now)
            if soon is not None:
                self.wake(at, soon)
            return
        self.wake(at, core.free)

    def _dispatch(self, at: Position, core: Core, work: Work, now: int) -> None:
        i = work.stage.code[work.at]
        work.parked = False
        if not i.runs(work.token.flags):
            work.at, work.ready = work.at + 1, now + DISPATCH_CYCLES
        elif i.op is Op.WAIT:
            seen, packets = work.seen[i.fields["operand"]], i.fields["packets"]
            if len(seen) < packets or max(seen[:packets], default=0) > now + 1:
                work.ready = None
                work.wait(i, now + DISPATCH_CYCLES)
                return
            if work.start is None:
                work.start = now + 1
            work.at, work.ready = work.at + 1, now + DISPATCH_CYCLES
        elif i.op is Op.END:
            self._end(at, core, work, now)
        elif not core.can(work, now):
            work.parked = True
        else:
            self._issue(at, core, work, i, now)

    def _end(self, at: Position, core: Core, work: Work, now: int) -> None:
        end = max(now + 1, core.returning)
        core.free = end + 1
        core.slots.remove(work)
        self.spans[at, work.stage.info.index, work.number] = Span(
            end if work.start is None else work.start, end)
        for n, (owner, counter) in enumerate(work.stage.owners):
            self.give(at, owner, counter, end + CREDIT_EVERY * n)
        core.returning = end + CREDIT_EVERY * len(work.stage.owners) + 1

    def give(self, at: Position, owner: Position, counter: int, end: int) -> None:
        """A credit to whoever reserved the slot; ``end`` is when the act of END would send it."""
        self.credit(owner, counter, end + credit_delay(self.machine, at, owner))

    def credit(self, owner: Position, counter: int, cycle: int) -> None:
        """A counter has a credit from a cycle on."""
        event = next(self.order)
        self.credits[event] = owner, counter
        heapq.heappush(self.events, (cycle, event,
                                     None if owner == self.machine.host else owner))

    def _issue(self, at: Position, core: Core, work: Work, i: Instruction, now: int) -> None:
        """Hand an instruction to its unit."""
        offered = now + ACCEPT_CYCLES
        work.at += 1
        if i.op in _ARRAY:
            work.ready = None
            core.array.offer(work, i, offered, self._cycles(work, i), self._after(work, i))
            self._array(at, core)
            return
        cycles = self._cycles(work, i)
        if i.op is Op.SEND:
            if i.fields["acquire"]:
                mask = work.stage.dests[i.fields["dest"]].counters
                for counter in core.credits:
                    core.credits[counter] -= mask >> counter & 1
            self.send(at, core, work, i, offered)
            return
        accepted = max(offered, core.sfu)
        length = vector_length(i, work.stage.local_tokens(self.machine, work.token))
        f = i.fields
        core.sfu_held = accepted
        core.sfu = accepted + sfu_occupancy(
            self.machine, f["fn"], length, m_mode=f["m_mode"], track=f["track"],
            less=f["less"], digits=f["digits"])
        if f["a_array"]:
            # The tree is full of what comes first when the SFU begins.
            core.array.read(accepted + reads_c(f["fn"], f["m_mode"], less=f["less"])
                            - drop_cycles(self.machine), sfu_beats(self.machine, length))
            self._array(at, core)
        if f["release"]:
            core.array.release(accepted + last_beats(self.machine, i, length))
            self._array(at, core)
        work.ready = accepted + cycles + ISSUE_CYCLES - ACCEPT_CYCLES

    def send(self, at: Position, core: Core, work: Work, i: Instruction, offered: int) -> None:
        """A SEND that is offered to its unit in a cycle."""
        cycles, flits = self._cycles(work, i), i.fields["flits"]
        accepted = max(offered, core.send)
        core.send_held, core.send = accepted, accepted + cycles
        if flits:
            delivery = work.stage.dests[i.fields["dest"]]
            self.deliver(work.number, at, delivery.routes, delivery.stage, delivery.operand, flits,
                         accepted + LEAVE_CYCLES)
        work.ready = accepted + cycles + ISSUE_CYCLES - ACCEPT_CYCLES

    def _after(self, work: Work, i: Instruction) -> float:
        """Of a SCORE's result, what is read before all its blocks have had a macro."""
        if i.op is not Op.SCORE or work.stage.kv is None:
            return 0
        size, tokens = self.machine.block_tokens, work.stage.local_tokens(self.machine, work.token)
        # The first sums of each macro are in its drain registers; the next leave it once they are
        # read, and the last command ends when all have left.
        more = -(-tokens // size) - work.stage.kv["k_macros"].bit_count()
        return more * size / tokens if more > 0 else 0

    def _array(self, at: Position, core: Core) -> None:
        """Let the array unit go on, and the slots whose instructions are done."""
        for work, done in core.array.advance():
            work.ready = done + ISSUE_CYCLES - ACCEPT_CYCLES
            self.wake(at, work.ready)

    def _cycles(self, work: Work, i: Instruction) -> int:
        """Cycles of an instruction by itself."""
        key = (id(i), id(work.stage), work.token.sequence, work.token.position, work.token.flags)
        if key not in self.latencies:
            self.latencies[key] = latency(self.machine, work.stage, i, work.token)
        return self.latencies[key]
