"""A source and a sink at every port of one router."""

import random
from collections.abc import Callable, Mapping
from functools import cache

from amaranth import EnableInserter

from ouroboros.hw.noc.router import Router, RouterTable
from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX, NocParams
from ouroboros.hw.params.packet import Port
from ouroboros.sw.noc.routes.xy import next_port
from ouroboros.tb.lib.agent import Agent, Dut
from ouroboros.tb.lib.met import met
from ouroboros.tb.lib.pysim import PySim
from ouroboros.tb.noc.links import LinkSink, LinkSource
from ouroboros.tb.noc.packets import Flit, header_of, packet

__all__ = ["EVERY_PORT", "MESH", "RouterAgent", "RouterBench", "StoppingRouter"]

MESH = MeshParams(width=5, height=4, die_width=5, die_height=4)
EVERY_PORT = (1 << len(Port)) - 1
SETTLED_CYCLES = 8


class StoppingRouter(Router):
    """A router whose clock stops while it says that nothing in it changes."""

    def elaborate(self, platform):
        return EnableInserter(self.active)(super().elaborate(platform))


class RouterAgent(Agent):
    """A router of ``MESH`` among its neighbours.

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
    hold : Callable
        Whether the sink at a port keeps the credits of a channel in this cycle; ``stall`` without.
    """

    def __init__(self, noc: NocParams, *, at: tuple[int, int] = (3, 2), connected: int = EVERY_PORT,
                 labels: Mapping[int, int] | None = None,
                 tables: Mapping[tuple[RouterTable, int], int] | None = None,
                 hold: Callable[[Port, int], bool] | None = None, stall: float = 0.0,
                 rng: random.Random | None = None):
        super().__init__(stall=stall, rng=rng)
        self.noc, self.at, self.connected, self.labels = noc, at, connected, labels or {}
        self.tables = {(RouterTable.LABELS, n): ports for n, ports in self.labels.items()}
        self.tables |= tables or {}
        self.drops, self.hops, self.latched = 0, [0, 0], 0
        self.ends.append(self)
        self.sources = [LinkSource(self, f"inputs__{port:d}", noc) for port in Port]
        self.sinks = [LinkSink(self, f"outputs__{port:d}", noc,
                               hold=hold and (lambda vc, port=port: hold(port, vc)))
                      for port in Port]
        self._expected: dict[tuple[int, int, int], list[list[Flit]]] = {}

    def drive(self) -> None:
        """Nothing of its own."""

    def look(self) -> None:
        """Count what the router reports."""
        self.drops += self.dut.get("dropped")
        for n, kind in enumerate(("data", "control")):
            self.hops[n] += self.dut.get(f"hops__{kind}")

    async def settle(self, dut: Dut, cycles: int = 5000, *,
                     each_cycle: Callable[["RouterAgent"], None] = lambda agent: None) -> None:
        """Configure, and run until everything sent has come out and every credit is back."""
        self.dut = dut
        for name, value in zip(("x", "y", "mesh_width", "mesh_height", "connected"),
                               (*self.at, MESH.width, MESH.height, self.connected), strict=True):
            dut.set(name, value)
        for (table, address), value in self.tables.items():
            for name, content in (("valid", 1), ("table", table), ("address", address),
                                  ("data", value)):
                dut.set(f"config__{name}", content)
            await dut.tick()
        dut.set("config__valid", 0)
        quiet = 0
        while quiet < SETTLED_CYCLES:
            assert self.cycle < cycles, f"not idle after {cycles} cycles"
            each_cycle(self)
            await self.step()
            quiet = quiet + 1 if all(s.empty and s.whole for s in self.sources) else 0
        self.latched = dut.get("drop_header").as_value().value

    def send_random(self, count: int) -> None:
        """Queue unicast and multicast packets at every port, for ``check``."""
        rng = self.rng
        for serial in range(count):
            source, vc = rng.choice(list(Port)), rng.randrange(self.noc.channels)
            label = rng.choice([0, 0, 0, *self.labels])
            x, y = rng.choice([(3, 1), (5, 1), (3, 4), (1, 1), (3, 2)])
            payload = [rng.getrandbits(self.noc.flit_bits)
                       for _ in range(rng.randrange(PAYLOAD_FLITS_MAX + 1))]
            flits = packet(vc, payload, dst_x=x, dst_y=y, label=label, src_x=source, spare=serial,
                           ordered=1)
            self.sources[source].send(flits)
            ports = self.labels[label] if label else 1 << next_port(self.at, (x, y), MESH)
            for port in Port:
                if ports >> port & 1:
                    met("route", source, port, "multicast" if label else "unicast")
                    self._expected.setdefault((source, port, vc), []).append(flits)

    def check(self) -> None:
        """Every copy has come once, intact, in order per source, port and channel."""
        got: dict[tuple[int, int, int], list[list[Flit]]] = {}
        for port in Port:
            for flits in self.sinks[port].packets:
                key = header_of(flits[0])["src_x"], port, flits[0].vc
                got.setdefault(key, []).append(flits)
        assert got == self._expected and got
        assert self.drops == 0


@cache
def _simulator(noc: NocParams) -> PySim:
    return PySim(StoppingRouter(noc))


class RouterBench(RouterAgent):
    """An agent in Amaranth's simulator; the router's clock stops when it may."""

    def run(self, cycles: int = 5000, *,
            each_cycle: Callable[[RouterAgent], None] = lambda agent: None) -> None:
        """See ``settle``."""
        _simulator(self.noc).tell(
            lambda dut: self.settle(dut, cycles, each_cycle=each_cycle))
