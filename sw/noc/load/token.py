"""What the traffic of a token does to the links: packets of flows, and the load they make."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.sw.noc.experiment.placed_traffic import Placed
from ouroboros.sw.noc.experiment.traffic_file import Volumes
from ouroboros.sw.noc.load.load import Floats, Flows, LinkParams, link_loads
from ouroboros.sw.noc.routes.live import Ints
from ouroboros.sw.noc.routes.routing import Routes

__all__ = ["PlacementLoad", "TokenLoad", "hops_of", "load_of_placement", "load_of_token",
           "packets_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLoad:
    """Links under the traffic of a token."""

    interval_cycles: int
    """Cycles from token to token."""
    flit_hops_per_token: float
    """Flits times links, headers included, trees as trees."""
    busiest_flits_per_token: float
    """Of the links between routers."""
    busiest_load: float
    """Share of the interval in which the busiest link or exit is busy."""
    busiest_held: float
    """Largest share of cycles in which no multicast copy can start on a link."""
    busiest_exit_flits_per_token: float
    """Of the exits to cores."""
    unicast_byte_hops_per_token: float
    """Bytes times links, if all were unicast."""
    latency_cycles: float | None
    """Mean over flits, of flows that meet no link beyond its capacity; None if there are none."""
    zero_load_cycles: float | None
    """The same in an empty network, of all flows."""
    flows_beyond_capacity: int
    """Flows that meet a link beyond its capacity."""
    flows: int
    """All flows."""
    trees: int
    """Branches of multicast trees among them."""
    headers: bool
    """Headers are in the bytes of the traffic."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(self)
                if one.name not in ("flows", "trees", "headers")}


def load_of_token(params: LinkParams, routes: Routes, volumes: Volumes, *, flit_bytes: int,
                  interval_cycles: int = 0) -> TokenLoad:
    """Load and latency of a token's traffic.

    Parameters
    ----------
    interval_cycles : int
        Cycles per token; 0: twice the least that the busiest link allows.
    """
    flows = packets_of(routes, volumes, flit_bytes)
    once = link_loads(params, flows)
    if interval_cycles == 0:
        interval_cycles = max(int(np.ceil(2 * once.load.max())), 1)
    # Rates are packets per token so far.
    flows = dataclasses.replace(flows, rates=flows.rates / interval_cycles)
    found = link_loads(params, flows)
    weights = flows.rates * flows.flits
    kept = np.isfinite(found.latency)
    return TokenLoad(
        interval_cycles=interval_cycles, flit_hops_per_token=once.flit_hops,
        busiest_flits_per_token=float(once.flits[:4].max()), busiest_load=found.busiest,
        busiest_held=float(found.held[:4].max()),
        busiest_exit_flits_per_token=float(once.flits[4].max()),
        unicast_byte_hops_per_token=float(
            (volumes.volume_bytes * hops_of(routes, volumes)).sum()),
        latency_cycles=_mean(found.latency[kept], weights[kept]),
        zero_load_cycles=_mean(found.zero_load, weights),
        flows_beyond_capacity=int((~kept).sum()), flows=len(kept), trees=len(flows.trees),
        headers=volumes.headers)


def _mean(cycles: Floats, flits: Floats) -> float | None:
    """Mean over flits; None where there are none."""
    return float(np.average(cycles, weights=flits)) if flits.any() else None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacementLoad:
    """A placement's own figures, to hold the model's against."""

    busiest_flits_per_token: float
    """Of its busiest link."""
    busiest_core: int
    """Core from which that goes."""
    busiest_direction: str
    """Where it goes."""
    nets_known: bool
    """Multicast trees by XY as if nothing were dead, headers included; else edges as unicast, half
    each way, without headers."""
    flit_hops_per_token: float
    """Flits times links."""

    as_dict = dataclasses.asdict


def load_of_placement(placed: Placed, flit_bytes: int) -> PlacementLoad:
    """Its loads in flits."""
    loads = placed.loads
    core, direction = loads.busiest
    return PlacementLoad(
        busiest_flits_per_token=loads.busiest_flits(flit_bytes), busiest_core=core,
        busiest_direction=direction, nets_known=loads.known,
        flit_hops_per_token=float(loads.bytes.sum()) / flit_bytes)


def hops_of(routes: Routes, volumes: Volumes) -> Ints:
    """Links of each flow's route by XY or a waypoint, of the shortest way for class 2; (flows,)."""
    width = routes.mesh.width
    choices = routes.choices(volumes.sources, volumes.ends)
    least = (abs(volumes.sources % width - volumes.ends % width)
             + abs(volumes.sources // width - volumes.ends // width))
    return np.where(choices[:, 2] >= 0, choices[:, 2], least)


def packets_of(routes: Routes, volumes: Volumes, bytes_per_flit: int) -> Flows:
    """Packets per token of 8 payload flits and a header (bytes of a rest count by the flit).

    Where headers are in the bytes, what is shorter than that is a shorter packet, such as a credit.
    A multicast tree whose paths are not all alive is taken apart into unicast. Class 2, which has
    no fixed path in terms of XY, takes the corners of its path by the tables.
    """
    choices = routes.choices(volumes.sources, volumes.ends)
    vias = routes.vias(volumes.sources, volumes.ends, choices)
    trees = volumes.trees
    if len(trees):
        broken = np.zeros(int(trees.max()) + 1, np.bool_)
        broken[trees[choices[:, 0] > 0]] = True
        new = np.ones(len(trees), np.int32)
        new[1:] = (trees[1:] != trees[:-1]) | broken[trees[1:]]
        trees = (new.cumsum() - 1).astype(np.int32)
    flits = volumes.volume_bytes / bytes_per_flit * (1 if volumes.headers else 9 / 8)
    lengths = np.full(len(flits), 9, np.int32)
    if volumes.headers:
        lengths = np.clip(np.ceil(flits), 1, 9).astype(np.int32)
    return Flows(sources=volumes.sources, ends=volumes.ends, rates=flits / lengths, flits=lengths,
                 vias=vias, trees=trees)
