"""Stand-in for controller, SFU and buffer of an array unit: random programs in several slots."""

import random
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.hw.params.timing.array import KV_WIPE_CYCLES
from ouroboros.sw.golden.array import STREAMS, ArrayGolden, Beat, Issue, local_tokens
from ouroboros.sw.golden.kv import KvSettings
from ouroboros.tb.lib.agent import Dut
from ouroboros.tb.lib.met import met

__all__ = ["ArrayAgent", "Drive", "Seen", "random_settings"]

KV_OPS = (Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE)
SEQUENCES = 3
DONE_CYCLES_MAX = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Outputs of the unit in one cycle, with the inputs of that cycle."""

    issue_ready: bool
    done: tuple[int, bool] | None
    """Slot and poison."""
    locked: bool
    owner: int
    idle_load: bool
    idle_compute: bool
    read_addr: int | None
    drain: Beat | None
    """The beat offered, whether or not it is taken."""
    events: dict[str, int]


@dataclass(kw_only=True, slots=True)
class Drive:
    """Inputs of the unit in one cycle."""

    issue: Issue | None = None
    read_data: int = 0
    drain_ready: bool = False
    release: bool = False


@dataclass(slots=True)
class _Slot:
    program: deque[Issue] = field(default_factory=deque)
    running: Op | None = None
    poison: bool = False
    beats: list[Beat] = field(default_factory=list)


def random_settings(machine: Machine, rng: random.Random) -> KvSettings:
    """Half of the macros for K, half for V; head_dim, members and block counts at random."""
    cim, lanes, half = machine.cim, machine.core.lanes, machine.core.macros // 2
    head_dim = lanes * rng.randrange(1, cim.outputs // lanes + 1)
    k_groups = -(-head_dim // cim.active_rows)
    members = rng.randrange(1, 5)
    return KvSettings(
        k_macros=(1 << half) - 1, v_macros=(1 << half) - 1 << half, k_groups=k_groups,
        k_blocks=rng.randrange(1, cim.groups // k_groups + 1), v_slots=cim.outputs // head_dim,
        head_dim=head_dim, heads=machine.kv.heads, members=members,
        member=rng.randrange(members), ring=rng.randrange(2), v_stays=rng.randrange(2))


class ArrayAgent:
    """Runs ``tokens`` random tokens, weight and KV, and compares every answer with the golden.

    Parameters
    ----------
    machine : Machine
        Sizes.
    tokens : int
        How many programs to run.
    stall : float
        How often nothing is issued, and drained, though it could be.
    rng : random.Random
        Source of all choices.
    """

    def __init__(self, machine: Machine, *, tokens: int, stall: float, rng: random.Random):
        self.machine, self.tokens, self.stall, self.rng = machine, tokens, stall, rng
        self.settings = random_settings(machine, rng)
        self.golden = ArrayGolden(machine, self.settings)
        numpy_rng = np.random.default_rng(rng.getrandbits(64))
        for array in (self.golden.buffer, self.golden.weights):
            array[:] = numpy_rng.integers(-128, 128, array.shape)
        self.golden.steps = {step: rng.getrandbits(machine.core.macros)
                             for step in range(machine.core.step_words)}
        self.slots = [_Slot() for _ in range(machine.core.slots)]
        self.counts: Counter[str] = Counter()
        self.beats_checked = 0
        self._wanted: Counter[str] = Counter()
        self._drive = Drive()
        self._stream: deque[Beat] | None = None
        self._stream_slot, self._release_in = 0, -1
        self._silent = 0

    @property
    def finished(self) -> bool:
        """Whether everything was run and released."""
        return not self.tokens and self._stream is None and all(
            slot.running is None and not slot.program for slot in self.slots)

    def configuration(self) -> list[tuple[int, int, int]]:
        """Writes (unit, address, data) that bring the unit to the golden model's state."""
        writes = [(int(Unit.KV), 0, KV_CONFIG.pack(self.settings.fields()))]
        writes += [(int(Unit.STEP), index, mask) for index, mask in self.golden.steps.items()]
        writes += [(Unit.WEIGHT + macro, row, _bytes(values))
                   for macro, rows in enumerate(self.golden.weights)
                   for row, values in enumerate(rows)]
        return writes

    async def run(self, dut: Dut) -> int:
        """Configure the ports of an ``ArrayUnit``, run everything; how many cycles."""
        for unit, address, value in self.configuration():
            for name, content in (("unit", unit), ("address", address), ("data", value),
                                  ("valid", 1)):
                dut.set(f"config__{name}", content)
            await dut.tick()
        dut.set("config__valid", 0)
        for _ in range(KV_WIPE_CYCLES):
            await dut.tick()
        cycles, last = 0, 3
        while last:
            await dut.settle()
            drive = self.cycle(self._seen(dut))
            await dut.tick()
            dut.set("issue__valid", int(drive.issue is not None))
            if drive.issue:
                dut.set("issue__payload", drive.issue.fields())
            for name, value in (("read__data", drive.read_data), ("released", int(drive.release)),
                                ("drain__ready", int(drive.drain_ready))):
                dut.set(name, value)
            cycles += 1
            last -= self.finished
        self.check()
        return cycles

    def _seen(self, dut: Dut) -> Seen:
        done = drain = None
        if dut.get("done__valid"):
            view = dut.get("done__payload")
            done = view.slot, bool(view.poison)
        if dut.get("drain__valid"):
            view = dut.get("drain__payload")
            drain = tuple(view.data[n] for n in range(self.machine.core.lanes)), view.valid
        events = dut.get("events")
        return Seen(
            issue_ready=bool(dut.get("issue__ready")), done=done, locked=bool(dut.get("locked")),
            owner=dut.get("owner"), idle_load=bool(dut.get("idle_load")),
            idle_compute=bool(dut.get("idle_compute")),
            read_addr=dut.get("read__addr") if dut.get("read__en") else None, drain=drain,
            events={name: events[name] for name, _ in events.shape()})

    def cycle(self, seen: Seen) -> Drive:
        """Take note of a cycle; what to drive in the next one."""
        drive, drove = Drive(read_data=self._drive.read_data), self._drive
        self.counts.update(seen.events)
        if seen.read_addr is not None:
            drive.read_data = _bytes(self.golden.buffer[
                seen.read_addr % self.machine.core.buffer_words])
        self._silent += 1
        assert self._silent < DONE_CYCLES_MAX, f"unit must go on, stands at {self.slots}"

        if drove.issue and seen.issue_ready:
            self._accepted(drove.issue)
        elif drove.issue:
            drive.issue = drove.issue
        if seen.done:
            self._done(*seen.done)
        self._drain(seen, drove, drive)
        if drive.issue is None and self.rng.random() >= self.stall:
            drive.issue = self._choose(seen, just_issued=drove.issue is not None)
        self._drive = drive
        return drive

    def check(self) -> None:
        """Compare the event counts, and refuse a run that checked nothing."""
        assert self.beats_checked, "no beat was checked"
        got = {name: self.counts[name] for name in self._wanted}
        assert got == dict(self._wanted), f"events must be {self._wanted}, not {got}"

    def _accepted(self, issue: Issue) -> None:
        op, slot = Op(issue.instruction & 15), self.slots[issue.slot]
        outcome = self.golden.run(issue)
        slot.running, slot.poison = op, outcome.poison
        slot.beats = outcome.beats(self.machine.core.lanes)
        slot.program.popleft()
        self._silent = 0
        met("array", op, "poisoned" if outcome.poison else "done")
        if op in KV_OPS:
            self._wanted["kv_operation"] += 1
        block = issue.position // self.machine.block_tokens
        if (op is Op.APPEND and not outcome.poison
                and (block + self.settings.ring * issue.sequence) % self.settings.members
                == self.settings.member):
            self._wanted["byte_writes"] += self.settings.head_dim
            self._wanted["row_writes"] += 1

    def _done(self, number: int, poison: bool) -> None:
        slot = self.slots[number]
        assert slot.running is not None, f"slot {number} is done without an instruction"
        assert poison == slot.poison, f"slot {number}: poison must be {slot.poison}"
        if slot.running in STREAMS:
            assert self._stream is None, f"slot {number} is done before a release"
            beats = slot.beats
            # Most streams are taken whole, some only in part.
            count = len(beats) if self.rng.random() < 0.75 else self.rng.randrange(len(beats) + 1)
            self._stream, self._stream_slot = deque(beats[:count]), number
            self._release_in = -1
        else:
            slot.running = None
        self._silent = 0

    def _drain(self, seen: Seen, drove: Drive, drive: Drive) -> None:
        if drove.release:
            self.slots[self._stream_slot].running = None
            self._stream = None
        offered = seen.drain is not None
        if offered:
            assert self._stream is not None or drove.release, "a beat came without a result"
        taken = offered and drove.drain_ready
        if taken and not drove.release:
            assert self._stream, "a beat was taken that must not be"
            wanted = self._stream.popleft()
            assert seen.drain == wanted, (
                f"beat of {self.slots[self._stream_slot]} must be {wanted}, not {seen.drain}")
            self.beats_checked += 1
        if self._stream is None:
            return
        if self._stream:
            drive.drain_ready = self.rng.random() >= self.stall
            if drive.drain_ready and offered and not taken and len(self._stream) == 1:
                # It is offered still: its transfer and the release can meet in one cycle.
                drive.release = self.rng.random() < 0.5
                if drive.release:
                    assert seen.drain == self._stream[0]
        else:
            if self._release_in < 0:
                self._release_in = self.rng.randrange(4)
            drive.release = self._release_in == 0
            self._release_in -= 1

    def _choose(self, seen: Seen, *, just_issued: bool) -> Issue | None:
        """An instruction that the unit can take by what it shows, or will be able to."""
        order = list(range(len(self.slots)))
        self.rng.shuffle(order)
        for number in order:
            slot = self.slots[number]
            if slot.running is not None:
                continue
            if not slot.program and self.tokens:
                slot.program = deque(self._program(number))
                self.tokens -= 1
            if slot.program and not just_issued and self._open(slot.program[0], seen):
                return slot.program[0]
        return None

    def _open(self, issue: Issue, seen: Seen) -> bool:
        op = Op(issue.instruction & 15)
        if seen.locked and (seen.owner != issue.slot or op in KV_OPS):
            return False
        if self.rng.random() < 0.3:
            return True  # it waits at the port
        if op is Op.LOAD:
            return seen.idle_load
        return seen.idle_compute and (op is Op.MVM or seen.idle_load)

    def _program(self, slot: int) -> list[Issue]:
        rng, machine = self.rng, self.machine
        token = {"slot": slot, "base": rng.randrange(machine.core.buffer_words // 4)}
        if rng.random() < 0.5:
            return [Issue(instruction=word, **token) for word in self._weight_program()]
        position = rng.randrange(machine.block_tokens * machine.kv.blocks * self.settings.members)
        position = min(position, rng.randrange(1, 8) * machine.block_tokens - rng.randrange(2))
        sequence = rng.randrange(SEQUENCES)
        token |= {"sequence": sequence, "position": position,
                  "tokens": local_tokens(machine, self.settings, position, sequence)}
        if rng.random() < 0.08:
            return [Issue(instruction=assemble(Op.FREE), **token)]
        words, head = [], rng.randrange(machine.kv.heads)
        if rng.random() < 0.9:
            words.append(assemble(Op.APPEND, head=head, k=rng.randrange(32), v=rng.randrange(32)))
        for _ in range(rng.randrange(3)):
            words.append(assemble(Op.SCORE, head=head, src=rng.randrange(32)))
            words.append(assemble(Op.CONTEXT, head=head, src=rng.randrange(32)))
        return [Issue(instruction=word, **token) for word in words] or self._program(slot)

    def _weight_program(self) -> list[int]:
        rng, cim, core = self.rng, self.machine.cim, self.machine.core
        words = cim.rows * 8 // core.word_bits
        loads = []
        if core.macros > 1 and rng.random() < 0.5:
            tiles, tile = rng.randrange(2, core.macros + 1), rng.randrange(1, words + 1)
            most = tile * core.word_bits // 8
            loads.append(assemble(
                Op.LOAD, src=rng.randrange(32), tiles=tiles, tile=tile,
                length=rng.choice((most, rng.randrange(most))),
                macros=rng.getrandbits(core.macros - tiles + 1)))
        for _ in range(rng.randrange(0 if loads else 1, 3)):
            offset = rng.randrange(words)
            length = rng.randrange((words - offset) * core.word_bits // 8 + 1)
            loads.append(assemble(Op.LOAD, src=rng.randrange(32), length=length, offset=offset,
                                  macros=rng.getrandbits(core.macros)))
        steps = rng.randrange(1, 5)
        return [*loads, assemble(Op.MVM, macros=(1 << core.macros) - 1, steps=steps,
                                 first_group=rng.randrange(cim.groups) if rng.random() < .3 else 0,
                                 step=rng.randrange(core.step_words - steps))]


def _bytes(values: np.ndarray) -> int:
    return int.from_bytes(values.astype(np.int8).tobytes(), "little")
