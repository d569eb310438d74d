"""Why a stage of a core waited: every cycle of a window has one reason."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ouroboros.hw.core.slots import SlotState
from ouroboros.hw.params.position import Position
from ouroboros.tb.waves.wave_file import Wave, WaveFile

__all__ = ["Reason", "Slot", "lengths", "reasons", "slots_of"]

UNITS = ("array", "sfu", "send")
SLOTS = "core.controller.slots"


@dataclass(frozen=True, slots=True)
class Reason:
    """What a stage did from one cycle to another."""

    first: int
    """First cycle."""
    last: int
    """Last cycle."""
    token: str
    """Of which token, SEQUENCE:POSITION; empty: it had none."""
    text: str
    """What it did, or what it waited for."""


class Slot:
    """Signals of one token slot."""

    FIELDS = ("state", "stage", "sequence", "position", "operand", "packets", "unit", "credits")

    def __init__(self, wave: WaveFile, core: Position, number: int):
        self.number = number
        self._waves = {name: wave.signal(core, f"{SLOTS}.slot{number}${name}")
                       for name in self.FIELDS}
        self._counts = [wave.signal(core, f"{SLOTS}.slot{number}$counts_{n}_") for n in range(4)]

    def state(self, cycle: int) -> SlotState | None:
        """What it waits for."""
        value = self._waves["state"].at(cycle)
        return None if value is None or value not in {one.value for one in SlotState} \
            else SlotState(value)

    def at(self, name: str, cycle: int) -> int:
        """A field; 0 if it is unknown."""
        return self._waves[name].at(cycle) or 0

    def came(self, cycle: int) -> int:
        """Packets of the operand that it waits for."""
        return self._counts[self.at("operand", cycle)].at(cycle) or 0

    def token(self, cycle: int) -> str:
        """Sequence and position."""
        return f"{self.at('sequence', cycle)}:{self.at('position', cycle)}"


def slots_of(wave: WaveFile, core: Position) -> list[Slot]:
    """All slots of a core."""
    return [Slot(wave, core, n) for n in range(wave.machine.core.slots)]


def reasons(wave: WaveFile, core: Position, stage: int, first: int,
            last: int) -> Iterator[Reason]:
    """What the stage did, cycle by cycle, equal neighbours as one."""
    look = _Look(wave, core, stage)
    begun, before = first, ("", "")
    for cycle in range(first, last + 1):
        found = look.at(cycle)
        if found != before:
            if before[1]:
                yield Reason(begun, cycle - 1, *before)
            begun, before = cycle, found
    yield Reason(begun, last, *before)


def lengths(found: list[Reason]) -> Counter[str]:
    """Cycles of each reason."""
    count: Counter[str] = Counter()
    for one in found:
        count[one.text] += one.last - one.first + 1
    return count


class _Look:
    """Reads the signals that tell; what a stage does most is what its nearest token does."""

    ORDER = (SlotState.RUN, SlotState.FETCH, SlotState.UNIT, SlotState.CREDIT, SlotState.OPERAND)

    def __init__(self, wave: WaveFile, core: Position, stage: int):
        self.stage, self.slots = stage, slots_of(wave, core)
        signal = lambda name: wave.signal(core, f"core.{name}")  # noqa: E731
        self.lock, self.lock_slot = signal("controller.lock"), signal("controller.lock_slot")
        self.issued = [tuple(signal(f"controller.issue_{unit}__{end}")
                             for end in ("valid", "ready", "payload$slot")) for unit in UNITS]
        self.runs_on: dict[int, str] = {}
        self.ready: Wave = signal("controller.slots.credit_ready")
        self.packet = signal("send.packet__valid"), signal("send.packet__ready")
        self.channel = signal("send.packet__payload$vc")
        self.credits = [signal(f"egress.end_.credits.counts__{vc}")
                        for vc in range(wave.machine.noc.channels)]

    def at(self, cycle: int) -> tuple[str, str]:
        """Token and reason of a cycle; cycles are asked for one after the other."""
        for name, (valid, ready, of) in zip(UNITS, self.issued, strict=True):
            if valid.at(cycle) and ready.at(cycle):
                self.runs_on[of.at(cycle) or 0] = name
        mine = [(slot, state) for slot in self.slots if (state := slot.state(cycle)) is not None
                and state is not SlotState.FREE and slot.at("stage", cycle) == self.stage]
        if not mine:
            return "", "no token: none of its slots is taken"
        slot, state = min(mine, key=lambda one: self.ORDER.index(one[1]))
        return slot.token(cycle), self._words(slot, state, cycle)

    def _words(self, slot: Slot, state: SlotState, cycle: int) -> str:
        if state is SlotState.RUN:
            return self._runs(slot, cycle)
        if state is SlotState.FETCH:
            return "waits for the dispatcher"
        if state is SlotState.UNIT:
            unit = slot.at("unit", cycle)
            holder = self.lock_slot.at(cycle)
            if unit == 0 and self.lock.at(cycle) and holder != slot.number:
                return f"array locked by slot {holder}, between its LOAD and its MVM"
            return f"{UNITS[unit]} is busy"
        if state is SlotState.CREDIT:
            lacks = slot.at("credits", cycle) & ~(self.ready.at(cycle) or 0)
            counters = [str(n) for n in range(lacks.bit_length()) if lacks >> n & 1]
            return f"no token credit of counter {' '.join(counters)}" if counters else \
                "waits for the dispatcher"
        return (f"no packet: operand {slot.at('operand', cycle)} has {slot.came(cycle)} of "
                f"{slot.at('packets', cycle)}")

    def _runs(self, slot: Slot, cycle: int) -> str:
        sends = ""
        if self.packet[0].at(cycle) and not self.packet[1].at(cycle):
            vc = self.channel.at(cycle) or 0
            sends = (f"send has no link credit of channel {vc} to its router"
                     if not self.credits[vc].at(cycle) else "send waits for the egress")
        for name, (valid, ready, of) in zip(UNITS, self.issued, strict=True):
            if valid.at(cycle) and not ready.at(cycle) and of.at(cycle) == slot.number:
                return f"{name} has not taken its instruction" + (f"; {sends}" if sends else "")
        unit = self.runs_on.get(slot.number, "a unit")
        return sends if sends and unit == "send" else f"{unit} runs its instruction"
