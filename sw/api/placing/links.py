"""Routes around what is dead, and the load of links: options in, a frozen result out."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.hw.params.noc import NocParams
from ouroboros.sw.api.shared import OnWafer, WithDeadLinks
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.options import option
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.placed_traffic import Placed, read_placed
from ouroboros.sw.noc.experiment.traffic_file import Volumes, read_volumes
from ouroboros.sw.noc.load.fit import Fit, fit, read_fit, write_fit
from ouroboros.sw.noc.load.held import Held, held_out
from ouroboros.sw.noc.load.load import LinkParams
from ouroboros.sw.noc.load.token import (
    PlacementLoad,
    TokenLoad,
    load_of_placement,
    load_of_token,
)
from ouroboros.sw.noc.routes.fault_report import (
    PairShares,
    bytes_by_class,
    check_seconds,
    pair_shares,
)
from ouroboros.sw.noc.routes.faults import Faults, parse_links, random_faults, read_faults
from ouroboros.sw.noc.routes.routing import Routes
from ouroboros.sw.noc.study.curves import Advance
from ouroboros.sw.place.dead import dead_cores

__all__ = ["Around", "AroundOptions", "LinkReport", "LinksOptions", "hold_out", "refit",
           "route_around", "traffic_on_links"]


@dataclass(frozen=True, kw_only=True)
class RouteOptions(OnWafer, WithDeadLinks):
    """A machine, what is dead in it, and what its cores send."""

    faults: int = option(0, metavar="N", least=0)
    """Dead cores drawn at random, instead of --dead and --dead-links."""
    link_faults: int = option(0, metavar="N", least=0)
    """Dead links drawn at random, likewise."""
    seed: int = option(1, metavar="N")
    """Of what is drawn."""
    flows: Path | None = option(None)
    """CSV of source, destination, bytes per token, and tree for multicasts; cores are x + width *
    y, from 0."""
    instance: Path | None = option(None)
    """Placement instance (JSON), as ouroboros tile --out wrote it."""
    placement: Path | None = option(None)
    """Where the tiles of --instance lie, as ouroboros map --out wrote it; by default along a snake
    through the dies."""

    def open_faults(self, machine: Machine) -> Faults:
        """What is dead."""
        mesh = machine.mesh
        drawn = self.faults or self.link_faults
        if drawn and (self.dead or self.dead_links):
            raise NocError("--faults and --link-faults must not be given beside --dead or "
                           "--dead-links")
        if drawn:
            return random_faults(mesh, self.faults, self.link_faults, self.seed)
        if self.dead.endswith(".json"):
            found = read_faults(Path(self.dead), mesh)
        else:
            found = Faults(mesh=mesh, routers=frozenset(
                (core % mesh.width + 1, core // mesh.width + 1)
                for core in dead_cores(self.dead, mesh)))
        links = found.links | {*parse_links(self.dead_links, mesh)}
        return dataclasses.replace(found, links=links)

    def open_volumes(self, routes: Routes) -> tuple[Volumes | None, Placed | None]:
        """Bytes per token of a flow file or an instance, if one is given; the latter, too."""
        if self.flows is not None and self.instance is not None:
            raise NocError("--flows and --instance must not both be given")
        if self.placement is not None and self.instance is None:
            raise NocError("--instance FILE must be given with --placement: the tiles that it "
                           "places")
        if self.flows is not None:
            return read_volumes(self.flows, routes.mesh), None
        if self.instance is not None:
            placed = read_placed(self.instance, self.placement, routes.mesh, ~routes.live.live)
            return placed.volumes, placed
        return None, None


@dataclass(frozen=True, kw_only=True)
class AroundOptions(RouteOptions):
    """Routes around faults."""

    pairs: int = option(1_000_000, metavar="N", least=0)
    """Pairs drawn for the shares; 0: all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """What faults do to the routes of a machine."""

    machine: Machine
    """Its mesh is what has faults."""
    faults: Faults
    """What is dead."""
    cut_off: tuple[tuple[int, int], ...]
    """Cores that are cut off from their die, so declared dead."""
    live: int
    """Live cores."""
    pairs: PairShares
    """Classes of pairs."""
    in_bytes: tuple[float, float, float] | None
    """Shares of the bytes of each class, if traffic was given."""
    seconds: dict[str, Any]
    """Processor time of the tables and their check."""
    route_ns: float
    """Processor time of a route."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "machine": self.machine.name, "machine_digest": digest_of(self.machine),
            "dead": len(self.faults.routers), "dead_links": len(self.faults.links),
            "cut_off": [list(core) for core in self.cut_off], "live": self.live,
            "pairs": dataclasses.asdict(self.pairs), "bytes": self.in_bytes,
            "seconds": self.seconds, "route_ns": self.route_ns}


def route_around(options: AroundOptions) -> Around:
    """Routes of all live pairs, classes of pairs and bytes, and the check of the channels, timed.

    Raises
    ------
    OuroborosError
        If a file is wrong, or the mesh is in pieces.
    """
    machine = load_machine(options.machine)
    faults = options.open_faults(machine)
    routes = Routes(faults)
    volumes, _ = options.open_volumes(routes)
    started = time.process_time()
    shares = pair_shares(routes, options.pairs, options.seed)
    seconds = time.process_time() - started
    return Around(
        machine=machine, faults=faults, cut_off=tuple(routes.live.cut_off),
        live=len(routes.cores), pairs=shares,
        in_bytes=bytes_by_class(routes, volumes) if volumes is not None else None,
        seconds=check_seconds(faults), route_ns=seconds / shares.pairs * 1e9)


@dataclass(frozen=True, kw_only=True)
class LinksOptions(RouteOptions):
    """Load of links."""

    vcs: int | None = option(None, metavar="N")
    """Channels of class 0; the machine's if not given."""
    depth: int | None = option(None, metavar="FLITS")
    """Flits of a channel; the machine's if not given."""
    interval: int = option(0, metavar="CYCLES", least=0)
    """Cycles per token; 0: twice the least that the busiest link allows."""
    die_latency: int | None = option(None, metavar="CYCLES")
    """Cycles of a flit on the wire between two dies; the machine's if not given."""
    die_cycles: int | None = option(None, metavar="N")
    """Cycles for which a flit occupies that wire; the machine's if not given."""
    fit: bool = False
    """Fit the constants to the cycle model again, and keep them."""
    held_out: bool = False
    """Hold the model against the cycle model where it was not fitted."""

    def network(self, machine: Machine) -> NocParams:
        """The machine's routers, with what was given; multicast packets fit their buffers.

        Raises
        ------
        NocError
            If there are no such routers.
        """
        given: dict[str, Any] = {
            "vcs": self.vcs, "vc_depth": self.depth, "die_latency_cycles": self.die_latency,
            "die_cycles_per_flit": self.die_cycles}
        depth = machine.noc.vc_depth if self.depth is None else self.depth
        try:
            return dataclasses.replace(
                machine.noc, multicast_flits=min(machine.noc.multicast_flits, depth),
                **{name: value for name, value in given.items() if value is not None})
        except ValueError as error:
            raise NocError(str(error)) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkReport:
    """The link-load model, and what traffic does to the links."""

    machine: Machine
    """Whose mesh it is."""
    fitted: Fit
    """Its constants."""
    held: tuple[Held, ...] = ()
    """Points that were not fitted."""
    traffic: TokenLoad | None = None
    """Load of the traffic, if any was given."""
    placement: PlacementLoad | None = None
    """Figures of the placement, if one was given."""

    @property
    def errors(self) -> list[float]:
        """Relative errors of the points, without sign."""
        return [abs(point.error) for point in self.held]

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        found: dict[str, Any] = {"machine_digest": digest_of(self.machine),
                                 "fit": dataclasses.asdict(self.fitted)}
        if self.held:
            found["held_out"] = {
                "mean_error": float(np.mean(self.errors)), "largest_error": max(self.errors),
                "points": [dataclasses.asdict(point) | {"error": point.error}
                           for point in self.held]}
        if self.traffic is not None:
            found["traffic"] = self.traffic.as_dict()
        if self.placement is not None:
            found["placement"] = dataclasses.asdict(self.placement)
        return found


def refit(options: LinksOptions, advance: Advance | None = None) -> None:
    """Fit the constants of such routers again, and keep them."""
    noc = options.network(load_machine(options.machine))
    write_fit(fit(noc.vcs, noc.vc_depth, advance))


def hold_out(options: LinksOptions, advance: Advance | None = None) -> tuple[Held, ...]:
    """Both models at points that were not fitted."""
    noc = options.network(load_machine(options.machine))
    fitted = read_fit(noc.vcs, noc.vc_depth)
    return tuple(held_out(fitted, progress=advance))


def traffic_on_links(options: LinksOptions, held: tuple[Held, ...] = ()) -> LinkReport:
    """Load and latency of the traffic that the options name; ``held`` is reported beside it.

    Raises
    ------
    OuroborosError
        If a file is wrong, the mesh is in pieces, or the model is not fitted for such routers.
    """
    machine = load_machine(options.machine)
    noc = options.network(machine)
    fitted = read_fit(noc.vcs, noc.vc_depth)
    params = LinkParams(mesh=machine.mesh, noc=noc, blocking=fitted.blocking,
                        sharing=fitted.sharing)
    routes = Routes(options.open_faults(machine))
    volumes, placed = options.open_volumes(routes)
    flit_bytes = machine.noc.flit_bits // 8
    return LinkReport(
        machine=machine, fitted=fitted, held=held,
        traffic=None if volumes is None else load_of_token(
            params, routes, volumes, flit_bytes=flit_bytes, interval_cycles=options.interval),
        placement=None if placed is None else load_of_placement(placed, flit_bytes))
