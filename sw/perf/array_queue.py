"""The array unit of a core under load: who has the loader, the macros, the drain registers.

Three instructions at once, as in ``hw.array``: a LOAD fills one operand bank, an MVM computes from
the other, and the result before it is read out. A result becomes current, which is when its
instruction is done, after the one before was released; until then the macros keep it, and what
comes behind it waits.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.timing.array import LOAD_CYCLES, Loaded, loading_cycles
from ouroboros.hw.params.timing.control import ISSUE_CYCLES
from ouroboros.sw.program.image import Instruction

__all__ = ["ArrayQueue"]

Who = TypeVar("Who")
BANKS = 2
SCORE_FIRST_CYCLES = 5
"""Of a SCORE that it does while the drain stage has no room for its result."""
HAND_CYCLES = 2
"""From room in the drain stage to ``done`` of a result that is complete."""


@dataclass(slots=True)
class _Result(Generic[Who]):
    """Sums on their way to the drain registers."""

    who: Who
    accepted: int
    alone: int
    """Cycles from acceptance to ``done`` in a unit with nothing else."""
    busy: int
    """Of these, the macros' with all operands loaded."""
    macros: tuple[Op, int] | None
    """Operation and head, which say whose macros they are; None: all, of an MVM."""
    loaded: int | None
    """When an MVM that follows its LOAD at once would have been accepted."""
    end: int | None = None
    """When its macros have done; None: not known yet."""
    ready: int | None = None
    """When it could be current, if it is known."""

    held: bool = False
    """Its sums may have to wait in the macros for the current result's."""

    def stands_behind(self, other: "_Result[Who] | None") -> bool:
        """Whether its sums cannot move to registers that still hold another's."""
        return other is not None and (None in (self.macros, other.macros)
                                      or self.macros == other.macros)


@dataclass(slots=True)
class ArrayQueue(Generic[Who]):
    """Instructions in the order in which the dispatcher hands them over; cycles are absolute."""

    machine: Machine
    waiting: tuple[Who, Instruction, int, int] | None = None
    """In the unit's register: whose, what, since when, its cycles alone."""
    held: int | None = 0
    """When the register is free; None: not known."""
    owner: Who | None = None
    """Who has loaded and not multiplied yet."""
    loader: int = 0
    compute: int = 0
    """When the executor and the macros can take the next."""
    macros: int = 0
    banks: deque[int | None] = field(default_factory=lambda: deque([0] * BANKS))
    """When each bank is free, in the order of use; None: not known."""
    results: deque[_Result[Who]] = field(default_factory=deque)
    """Not current yet, the executing one's included."""
    place: int = 0
    """Since when the drain stage has room for a result that waits."""
    current: _Result[Who] | None = None
    """What is read out."""
    opens: int = 0
    """From when on the next result may be current."""
    offered: float = 0
    after: float = 0
    """Share of the result of the SCORE that is executed to be read until it has its last macro."""
    begun: int = 0
    """When an MVM right after the latest LOAD would be accepted."""
    load: Loaded = field(default_factory=lambda: Loaded(0))

    def takes(self, who: Who, now: int) -> bool:
        """Whether the dispatcher may hand over an instruction of a slot."""
        return (self.waiting is None and self.held is not None and self.held <= now
                and (self.owner is None or self.owner is who))

    def offer(self, who: Who, instruction: Instruction, cycle: int, cycles: int,
              after: float = 0) -> None:
        """An instruction is in the register from a cycle on.

        ``after``: of a SCORE of more blocks than macros, the share of its result that is read
        before its last block has a macro.
        """
        self.waiting, self.held = (who, instruction, cycle, cycles), None
        self.offered = after
        if instruction.op is Op.LOAD:
            self.owner = who
        elif instruction.op is Op.MVM:
            self.owner = None

    def read(self, first: int, cycles: int) -> None:
        """The current result is read from a cycle on, for so many."""
        if self.after and self.current is not None and (self.current.macros or "")[:1] == (
                Op.SCORE,):
            end = first + round(self.after * cycles)
            self.compute, self.macros = max(self.compute, end), max(self.macros, end)
            self.after = 0

    def release(self, opens: int) -> None:
        """The current result is read; the next can be current from a cycle on."""
        self.current, self.opens = None, opens

    def advance(self) -> list[tuple[Who, int]]:
        """Go on as far as is known: who is done, and when."""
        done: list[tuple[Who, int]] = []
        while self._accept(done) or self._turn(done):
            pass
        return done

    def _turn(self, done: list[tuple[Who, int]]) -> bool:
        """The next result becomes current."""
        if self.current is not None or not self.results or self.results[0].ready is None:
            return False
        result = self.results.popleft()
        assert result.ready is not None
        at = max(result.ready, self.opens)
        self.current = result
        done.append((result.who, at))
        if result.loaded is not None:
            self.banks[self.banks.index(None)] = at
        # Its place in the drain stage is for the next, with whose result the executor may wait.
        self.place = at
        if result.held:
            # Macros stood still with its sums, and the next command's first cycles were done.
            self.macros = max(self.macros, at - self.machine.cim.fill_cycles - 1)
        if self.results:
            self._compute(self.results[0])
        return True

    def _accept(self, done: list[tuple[Who, int]]) -> bool:
        """The register's instruction is taken, if it is known when."""
        if self.waiting is None:
            return False
        who, instruction, cycle, cycles = self.waiting
        if instruction.op is Op.LOAD:
            bank = self.banks[0]
            if bank is None:
                return False
            accepted = max(cycle, self.loader, bank)
            self.banks.rotate(-1)
            self.banks[-1] = None
            f = instruction.fields
            self.load = Loaded(f["length"], max(f["tiles"], 1), f["tile"])
            self.begun = accepted + LOAD_CYCLES + ISSUE_CYCLES
            self.loader = accepted + loading_cycles(self.machine, self.load)
            done.append((who, accepted + LOAD_CYCLES))
        else:
            if len(self.results) > 1 or self.after:
                return False
            accepted = max(cycle, self.compute)
            if instruction.op is not Op.MVM:
                accepted = max(accepted, self.loader)
            self._execute(who, instruction, accepted, cycles, done)
        self.waiting, self.held = None, accepted
        return True

    def _execute(self, who: Who, instruction: Instruction, accepted: int, cycles: int,
                 done: list[tuple[Who, int]]) -> None:
        if instruction.op in (Op.APPEND, Op.FREE):
            # They begin when all macros are idle.
            end = max(accepted, self.macros) + cycles
            self.compute = self.macros = end
            done.append((who, end))
            return
        multiplies = instruction.op is Op.MVM
        self.after = self.offered if instruction.op is Op.SCORE else 0
        result = _Result(
            who, accepted, cycles,
            self.machine.cim.command_cycles(max(self.load.groups(self.machine))) if multiplies
            else max(cycles - self.machine.cim.fill_cycles, 1),
            None if multiplies else (instruction.op, instruction.fields["head"]),
            self.begun if multiplies else None)
        before = self.results[0] if self.results else None
        self.results.append(result)
        if before is None:
            self._compute(result)
        elif not multiplies and not before.held:
            # Other macros than those of the result that waits; only handing it over has to.
            self._multiply(result)

    def _multiply(self, result: _Result[Who]) -> None:
        """Macros at work, once they are free."""
        fill = self.machine.cim.fill_cycles
        start = max(result.accepted, self.macros)
        if result.loaded is not None:
            # Operands that have come while it waited are no longer waited for.
            start = max(start, result.accepted + 1)
            result.end = max(result.loaded + result.alone - fill - 1, start + result.busy)
            self.compute = max(self.compute, start, self.place)
        else:
            result.end = start + result.busy
            self.compute = max(self.compute, result.end, self.place)
        self.macros = result.end

    def _compute(self, result: _Result[Who]) -> None:
        """The drain stage has room for a result: when it could be current."""
        fill = self.machine.cim.fill_cycles
        early = result.end is not None
        if not early:
            self._multiply(result)
        assert result.end is not None
        result.ready = result.end + fill + (result.loaded is not None)
        result.held = result.stands_behind(self.current)
        if early:
            # A CONTEXT hands over its sums, a SCORE begins to multiply.
            again = (result.alone - SCORE_FIRST_CYCLES if result.macros is not None
                     and result.macros[0] is Op.SCORE else HAND_CYCLES)
            result.ready = max(result.ready, self.place + again)
            self.compute = max(self.compute, result.ready - fill)
