"""One router in Amaranth's simulator, with a source and a sink at every port."""

from collections.abc import Callable, Mapping
from functools import cache

from amaranth import EnableInserter

from ouroboros.hw.noc.router import Router, RouterTable
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.noc.links import LinkSink, LinkSource

__all__ = ["EVERY_PORT", "MESH", "RouterBench"]

MESH = MeshParams(width=5, height=4, die_width=5, die_height=4)
EVERY_PORT = (1 << len(Port)) - 1
SETTLED_CYCLES = 8


class _StoppingRouter(Router):
    """A router whose clock stops while it says that nothing in it changes."""

    def elaborate(self, platform):
        return EnableInserter(self.active)(super().elaborate(platform))


@cache
def _simulator(noc: NocParams) -> PySim:
    return PySim(_StoppingRouter(noc))


class RouterBench:
    """A router of ``MESH``, compiled once for each ``noc``; its clock stops when it may.

    Parameters
    ----------
    noc : NocParams
        The network.
    at : tuple
        Coordinates of the router.
    connected : int
        Mask of its ports that lead somewhere.
    labels, tables : Mapping
        What is written before packets come: ports by label, and anything by table and address.
    idle : Callable
        True keeps a source from sending in this cycle.
    hold : Callable
        Whether the sink at a port keeps the credits of a channel in this cycle.
    """

    def __init__(self, noc: NocParams, *, at: tuple[int, int] = (3, 2), connected: int = EVERY_PORT,
                 labels: Mapping[int, int] | None = None,
                 tables: Mapping[tuple[RouterTable, int], int] | None = None,
                 idle: Callable[[], bool] = lambda: False,
                 hold: Callable[[Port, int], bool] = lambda port, vc: False):
        self._simulator = _simulator(noc)
        self.dut = self._simulator.dut
        self.at, self.connected = at, connected
        self.tables = {(RouterTable.LABELS, n): ports for n, ports in (labels or {}).items()}
        self.tables |= tables or {}
        self.sources = [LinkSource(self.dut.inputs[p], noc, idle=idle) for p in Port]
        self.sinks = [LinkSink(self.dut.outputs[p], noc, hold=lambda vc, p=p: hold(p, vc))
                      for p in Port]
        self.cycle = self.drops = 0
        self.hops = [0, 0]
        self.latched = 0

    def run(self, cycles: int = 5000, *,
            each_cycle: Callable[["RouterBench"], None] = lambda bench: None) -> None:
        """Run until everything sent has come out and every credit is back."""
        async def process(ctx):
            dut = self.dut
            for name, value in zip(("x", "y", "mesh_width", "mesh_height", "connected"),
                                   (*self.at, MESH.width, MESH.height, self.connected),
                                   strict=True):
                ctx.set(getattr(dut, name), value)
            for (table, address), value in self.tables.items():
                ctx.set(dut.config.valid, 1)
                ctx.set(dut.config.table, table)
                ctx.set(dut.config.address, address)
                ctx.set(dut.config.data, value)
                await ctx.tick()
            ctx.set(dut.config.valid, 0)
            quiet = 0
            for self.cycle in range(cycles):
                each_cycle(self)
                for end in (*self.sources, *self.sinks):
                    end.step(ctx, self.cycle)
                self.drops += ctx.get(dut.dropped)
                self.hops[0] += ctx.get(dut.hops.data)
                self.hops[1] += ctx.get(dut.hops.control)
                quiet = quiet + 1 if all(s.empty and s.whole for s in self.sources) else 0
                if quiet == SETTLED_CYCLES:
                    self.latched = ctx.get(dut.drop_header.as_value())
                    return
                await ctx.tick()
            raise AssertionError(f"not idle after {cycles} cycles")

        self._simulator.run(process)
