"""Random but legal traffic for a CIM macro, cycle by cycle, checked against the golden model."""

import random
from collections import deque
from typing import Any

import numpy as np

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.golden.macro import Drained, Macro, valid_groups

__all__ = ["MacroTraffic"]


class MacroTraffic:
    """Decides the inputs of every cycle and checks what the drain registers show.

    In each cycle the bench calls ``drain`` with ``full``, drives the two values it gives, calls
    ``inputs`` with ``cmd.ready`` (which depends on ``take``), drives those, and calls ``check``
    with the sums shown.

    ``checked`` counts the results seen, ``active_cycles`` the cycles that ``active`` must be high.

    Parameters
    ----------
    machine : Machine
        Sizes.
    commands : int
        Commands to issue.
    stall : float
        Probability that a command or a drain beat waits in a cycle.
    rng : random.Random
        Source of everything random.
    """

    def __init__(self, machine: Machine, commands: int, stall: float, rng: random.Random):
        self.machine = machine
        self.golden = Macro(machine)
        self.checked = 0
        self.active_cycles = 0
        self._left = commands
        self._stall = stall
        self._rng = rng
        self._pending: dict[str, Any] | None = None
        self._running_bank = 0
        self._results: deque[Drained] = deque()
        self._beat = 0
        self._unwritten = deque(range(machine.cim.rows))

    @property
    def done(self) -> bool:
        """Whether every command was accepted and every result seen."""
        return not (self._left or self._pending or self._results)

    def drain(self, full: bool) -> tuple[int, int]:
        """Values of ``beat`` and ``take`` in this cycle."""
        beats = self.machine.cim.outputs // self.machine.core.lanes
        if not full:
            return self._rng.randrange(beats), 0
        if self._rng.random() < self._stall:
            return self._beat, 0
        return self._beat, int(self._beat == beats - 1)

    def check(self, full: bool, beat: int, take: int, sums: list[int], valid: int) -> None:
        """Compare what is shown at ``beat`` with the oldest result."""
        if not full:
            return
        assert self._results, "full must be low while no command has drained"
        lanes = self.machine.core.lanes
        want = self._results[0]
        part = slice(beat * lanes, (beat + 1) * lanes)
        got = (sums, [bool(valid >> lane & 1) for lane in range(lanes)])
        expected = (want.sums[part].tolist(), want.valid[part].tolist())
        assert got == expected, f"result {self.checked}, beat {beat}: got {got}, want {expected}"
        self._beat += 1
        if self._beat == self.machine.cim.outputs // lanes:
            self._beat = 0
        if take:
            self._results.popleft()
            self.checked += 1

    def inputs(self, ready: bool) -> dict[str, int]:
        """Values of all other inputs, by their Verilog names; ``cmd`` fields as ``cmd.<field>``."""
        values: dict[str, int] = {}
        if ready:
            self._write(values)
        if self._pending is None and self._left and not self._unwritten:
            if self._rng.random() >= self._stall:
                self._pending = self._command()
                self._left -= 1
        accepted = None
        if self._pending is not None:
            values["cmd__valid"] = 1
            values.update({f"cmd.{name}": value for name, value in self._pending.items()})
            if ready:
                accepted, self._pending = self._pending, None
                active = valid_groups(self.machine.cim, self.golden.valid[accepted["bank"]],
                                      accepted["operand_group"], accepted["groups"])
                self.active_cycles += 8 * len(active)
                columns = _bits(accepted["columns"], self.machine.cim.outputs)
                result = self.golden.command(**{**accepted, "columns": columns})
                self._running_bank = accepted["bank"]
                if result is not None:
                    self._results.append(result)
        # Only a cycle without acceptance but with ready leaves both banks free.
        self._load(values, free={0, 1} if ready and accepted is None else {1 - self._running_bank})
        return values

    def _write(self, values: dict[str, int]) -> None:
        cim, outputs = self.machine.cim, self.machine.cim.outputs
        if self._unwritten:
            row, mask = self._unwritten.popleft(), (1 << outputs) - 1
        elif self._rng.random() < 0.1:
            row, output = self._rng.randrange(cim.rows), self._rng.randrange(outputs)
            column = self._int8s(cim.k_write_rows_per_cycle)
            self.golden.write_column(row, output, column)
            data = np.zeros(outputs, np.int64)
            for n, value in enumerate(column):
                data[cim.write_byte(n, output)] = value
            values.update(write__en=1, write__column=1, write__row=row,
                          write__mask=1 << output, write__data=_pack(data))
            return
        elif self._rng.random() < 0.3:
            row = self._rng.randrange(self.machine.cim.rows)
            mask = self._rng.choice([1 << self._rng.randrange(outputs),
                                     self._rng.getrandbits(outputs)])
        else:
            return
        data = self._int8s(outputs)
        self.golden.write(row, _bits(mask, outputs), data)
        wired = [cim.write_byte(row, output) for output in range(outputs)]
        values.update(write__en=1, write__column=0, write__row=row, write__mask=mask,
                      write__data=_pack(data[wired]))

    def _load(self, values: dict[str, int], free: set[int]) -> None:
        word_bytes = self.machine.core.word_bits // 8
        values["operand__bank"] = bank = self._rng.randrange(2)
        if bank not in free or self._rng.random() < 0.4:
            return
        if self._rng.random() < 0.15:
            self.golden.clear(bank)
            values["operand__clear"] = 1
        if self._rng.random() < 0.8:
            index = self._rng.randrange(-(-self.machine.cim.rows // word_bytes))
            data = self._int8s(word_bytes)
            mask = self._rng.choice([(1 << word_bytes) - 1, self._rng.getrandbits(word_bytes),
                                     1 << self._rng.randrange(word_bytes), 0])
            self.golden.load(bank, index, data, _bits(mask, word_bytes))
            values.update(operand__en=1, operand__index=index, operand__data=_pack(data),
                          operand__mask=mask)

    def _command(self) -> dict[str, Any]:
        rng, groups = self._rng, self.machine.cim.groups
        operand_group = rng.choice([0, rng.randrange(groups)])
        return {
            "bank": rng.randrange(2),
            "first_group": rng.choice([0, rng.randrange(groups)]),
            "operand_group": operand_group,
            "groups": rng.choice([0, groups, rng.randrange(groups + 1)]),
            "first": rng.randrange(2),
            "last": int(rng.random() < 0.7),
            "columns": rng.choice([(1 << self.machine.cim.outputs) - 1,
                                   rng.getrandbits(self.machine.cim.outputs)]),
        }

    def _int8s(self, count: int) -> np.ndarray:
        if self._rng.random() < 0.3:
            return np.array(self._rng.choices((-128, 127), k=count))
        return np.array(self._rng.choices(range(-128, 128), k=count))


def _bits(mask: int, count: int) -> np.ndarray:
    return np.array([mask >> bit & 1 for bit in range(count)], np.bool_)


def _pack(data: np.ndarray) -> int:
    return int.from_bytes(data.astype(np.int8).tobytes(), "little")
