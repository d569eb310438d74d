"""What drives and watches a component, cycle by cycle, the same in every simulator."""

import random
from collections.abc import Callable, Iterator
from typing import Any, Protocol

__all__ = ["Agent", "Dut", "End", "seeded"]

HANGS_CYCLES = 20_000


class Dut(Protocol):
    """A component's ports by their Verilog names.

    A cycle: ``set`` inputs, ``settle``, ``get`` outputs, ``tick``. Outputs that come from registers
    may be got before that. Values of a port with a layout
    are dictionaries when they are set and ``data.Const`` views when they are got.
    """

    def set(self, name: str, value: Any) -> None:
        """Drive an input."""

    def get(self, name: str) -> Any:
        """Value of a port, now."""

    async def settle(self) -> None:
        """Wait until outputs follow the inputs of this cycle."""

    async def tick(self) -> None:
        """Go on to the next cycle."""


class End(Protocol):
    """One end of a stream or link, or anything else that has a part in each cycle."""

    def drive(self) -> None:
        """Set inputs at the beginning of a cycle."""

    def look(self) -> None:
        """Take note of what happens in it."""


class Agent:
    """Base of the agents: its ``ends`` have their part in every cycle, in order.

    Parameters
    ----------
    dut : Dut
        The component, in some simulator, after reset; an agent without has to get one (``dut``)
        before its first cycle.
    stall : float
        Probability that ``idle`` holds something up.
    rng : random.Random
        Source of all choices.
    """

    dut: Dut

    def __init__(self, dut: Dut | None = None, *, stall: float = 0.0,
                 rng: random.Random | None = None):
        if dut is not None:
            self.dut = dut
        self.stall, self.rng = stall, rng or random.Random(5)
        self.ends: list[End] = []
        self.cycle = 0

    def idle(self) -> bool:
        """Whether to hold something up for a cycle."""
        return self.stall > 0 and self.rng.random() < self.stall

    async def step(self, cycles: int = 1) -> None:
        """So many cycles."""
        for _ in range(cycles):
            for end in self.ends:
                end.drive()
            await self.dut.settle()
            for end in self.ends:
                end.look()
            await self.dut.tick()
            self.cycle += 1

    async def until(self, condition: Callable[[], bool], cycles: int = HANGS_CYCLES) -> None:
        """Step until a condition holds, ``cycles`` times at most."""
        last = self.cycle + cycles
        while not condition():
            assert self.cycle < last, f"{type(self.dut).__name__} hangs: {condition}"
            await self.step()

    async def together(self, *processes: Iterator[Callable[[], bool]]) -> None:
        """Run processes side by side; each yields the conditions that it waits for."""
        waits: dict[Iterator[Callable[[], bool]], Callable[[], bool]] = {
            process: lambda: True for process in processes}
        moved = self.cycle
        while waits:
            for process in [process for process, met in waits.items() if met()]:
                moved, condition = self.cycle, next(process, None)
                if condition is None:
                    del waits[process]
                else:
                    waits[process] = condition
            assert self.cycle - moved < HANGS_CYCLES, f"{len(waits)} processes hang"
            await self.step()

    async def write(self, unit: int, address: int, value: int) -> None:
        """Write a configuration entry by port ``config``."""
        for name, content in (("unit", unit), ("address", address), ("data", value), ("valid", 1)):
            self.dut.set(f"config__{name}", content)
        await self.step()
        self.dut.set("config__valid", 0)


def seeded() -> random.Random:
    """A source of choices that follows the simulation's seed."""
    return random.Random(random.getrandbits(64))
