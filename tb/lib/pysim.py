"""One component in Amaranth's simulator, compiled once, for many test benches."""

from collections.abc import Awaitable, Callable
from typing import Any

from amaranth.lib import wiring
from amaranth.sim import Simulator, SimulatorContext

__all__ = ["PySim", "PySimDut"]

Bench = Callable[[SimulatorContext], Awaitable[None]]


async def _nothing(ctx):
    """Do nothing."""


class PySimDut:
    """See ``tb.lib.agent.Dut``."""

    def __init__(self, ctx: SimulatorContext, component: wiring.Component):
        self._ctx = ctx
        self._ports = {"__".join(map(str, path)): value
                       for path, _, value in component.signature.flatten(component)}

    def set(self, name: str, value: Any) -> None:
        self._ctx.set(self._ports[name], value)

    def get(self, name: str) -> Any:
        return self._ctx.get(self._ports[name])

    async def settle(self) -> None:
        """Nothing: outputs follow at once."""

    async def tick(self) -> None:
        await self._ctx.tick()


class PySim:
    """A component whose benches all start from reset, in a simulator that is compiled only once.

    Amaranth compiles a component far longer than a unit test runs it. Tests of the same component
    share one of these: a function with ``functools.cache`` makes it from the parameters.

    Parameters
    ----------
    dut : wiring.Component
        The component, with a clock in domain ``sync``.
    """

    def __init__(self, dut: wiring.Component):
        self.dut = dut
        self._bench = self._background = _nothing
        self._sim = Simulator(dut)
        self._sim.add_clock(1e-6)
        self._started = False

    def run(self, bench: Bench, background: Bench = _nothing) -> None:
        """Simulate until ``bench`` ends.

        Time, inputs, registers and memories start anew, whatever the last bench left behind, also
        if it failed. ``background`` runs beside the bench, first in every step, and is dropped at
        the end.
        """
        self._bench, self._background = bench, background
        if self._started:
            self._sim.reset()
        else:
            # Not before: a testbench that is added and never started is a warning.
            self._sim.add_testbench(self._run_background, background=True)
            self._sim.add_testbench(self._run_bench)
            self._started = True
        self._sim.run()

    def tell(self, story: Callable[[PySimDut], Awaitable[None]]) -> None:
        """Simulate until a story about the component's ports ends."""
        self.run(lambda ctx: story(PySimDut(ctx, self.dut)))

    async def _run_background(self, ctx):
        await self._background(ctx)

    async def _run_bench(self, ctx):
        await self._bench(ctx)
