"""Figures of a point: traffic through the wafer model, with terms switched, or a baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.baselines.systems import BASELINES
from ouroboros.sw.baselines.wse2 import Wse2
from ouroboros.sw.energy.joules import capped_rate
from ouroboros.sw.energy.technology import load_technology
from ouroboros.sw.experiments.wafer.traffic import as_requests, drawn
from ouroboros.sw.lib.quantities import CORNERS
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.blocks import LayerWays, model_chain
from ouroboros.sw.wafer.chain import Chain
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.encoder import encoder_service
from ouroboros.sw.wafer.metrics import summary
from ouroboros.sw.wafer.power import Power
from ouroboros.sw.wafer.requests import Requests
from ouroboros.sw.wafer.run import run
from ouroboros.sw.wafer.service import Service, service

__all__ = ["WAFER", "WSE2_REQUESTS", "Place", "measure", "tokens_per_s"]

WAFER = "wafer"
WSE2_REQUESTS = 100
"""Of a baseline that serves one after the other: more of them change nothing."""
PRODUCTS = ("QKV", "projection", "up/gate", "down")
"""Cells that multiply by weights."""
TIMES = ("ttft_s", "tpot_s", "e2e_s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A point: a model and traffic on a machine, and what is switched. Plain values only."""

    system: str = WAFER
    """The wafer, or a baseline's name."""
    model: str = "llama-13b"
    """Shape."""
    mix: str = "chat"
    """Requests; see ``sw.experiments.wafer.traffic``."""
    requests: int = 2000
    """How many."""
    rate: float = 0.0
    """Requests a second; 0: all at once."""
    digest: str = ""
    """Of a trace's file."""
    clock_ghz: float = 1.0
    """Of the wafer."""
    wafers: int = 1
    """In a row."""
    members: int = 0
    """Cores that share the tokens of a KV head; 0: the best."""
    headroom_blocks: int = 1
    """KV blocks kept free at admission."""
    static_tokens: int = 0
    """Tokens that every sequence reserves; 0: as many as it has."""
    grain: str = "token"
    """What follows what: tokens, or whole prompts."""
    ring: bool = True
    """Whether sequences begin at members in turn."""
    array_factor: float = 1.0
    """How many times as long products of weights hold their cores: 1 for compute in memory."""
    border_ns: float = 0.0
    """Added for each border between dies that a token crosses in a block."""
    border_gb_s: float = 0.0
    """Bandwidth of a border between dies; 0: that of the mesh."""
    assumptions: tuple[tuple[str, float], ...] = ()
    """Values of the wafer model's assumptions."""
    limits: tuple[tuple[str, float], ...] = ()
    """Seconds by name of latency, for goodput."""

    def point(self) -> dict[str, Any]:
        """For the engine; what has its default is left out."""
        found = {one.name: getattr(self, one.name) for one in fields(self)
                 if getattr(self, one.name) != one.default}
        return {key: [list(pair) for pair in value] if isinstance(value, tuple) else value
                for key, value in found.items()} or {"system": WAFER}

    @classmethod
    def of(cls, point: Mapping[str, Any]) -> "Place":
        """From what ``point`` made."""
        values: dict[str, Any] = {
            key: tuple((str(a), float(b)) for a, b in value) if isinstance(value, list) else value
            for key, value in point.items()}
        return cls(**values)


def measure(point: Mapping[str, Any]) -> dict[str, Any]:
    """Throughput, energy and latencies of a point.

    Raises
    ------
    OuroborosError
        If a model does not fit, or is refused.
    """
    place = Place.of(point)
    return _wafer(place) if place.system == WAFER else _baseline(place)


def tokens_per_s(found: Mapping[str, Any], *, clock_ghz: float = 1.0, cap_w: float = 0.0,
                 corner: str = "mid") -> float:
    """Output tokens/s of a wafer's result at a clock and within a power, all requests at once."""
    rate = float(found["output_tokens_per_s"]) / float(found["clock_ghz"]) * clock_ghz
    if not cap_w:
        return rate
    energy = found["energy"][corner]
    return capped_rate(rate, energy["dynamic_per_output"], energy["leakage_w"], cap_w)


def _wafer(place: Place) -> dict[str, Any]:
    machine = load_machine(WAFER)
    machine = replace(machine, kv=replace(machine.kv, ring=place.ring))
    traffic = as_requests(drawn(place.mix, place.requests, rate=place.rate, digest=place.digest))
    overrides = dict(place.assumptions) | {"clock_ghz": place.clock_ghz}
    shape = load_shape(place.model)
    options = WaferOptions(members=place.members or None, wafers=place.wafers, overrides=overrides)
    if shape.kind == "encoder":
        return _figures(place, encoder_service(machine, shape, options, traffic, None), traffic)
    return _figures(place, service(
        machine, shape, options, traffic, place.static_tokens or None,
        headroom_blocks=place.headroom_blocks, static_tokens=place.static_tokens,
        grain=place.grain), traffic)


def _chain(place: Place, found: Service) -> Chain:
    """The chain of a service, with what is switched."""
    wafer, machine = found.wafer, found.wafer.machine
    if place.array_factor == 1 and not (place.border_ns or place.border_gb_s):
        return found.chain
    if wafer.shape.kind == "encoder":
        raise PerfError("array_factor, border_ns and border_gb_s must be left out for an encoder, "
                        f"such as {wafer.shape.name!r}")
    more = round((place.array_factor - 1) * machine.cim.mvm_cycles)
    # Borders that a token crosses in a block: cores of a block over those of a die.
    borders = (wafer.count.weights + wafer.count.kv) / wafer.wafer_layers / (
        machine.mesh.die_width * machine.mesh.die_height)
    way = dict.fromkeys(PRODUCTS, more)
    way["norm 1"] = round(borders * place.border_ns * place.clock_ghz)
    link = 0
    if place.border_gb_s:
        sent = wafer.wafer_flits * machine.noc.flit_bits / 8 / place.border_gb_s
        link = max(0, round(sent * place.clock_ghz) - wafer.link_flits)
    hold = dict.fromkeys(PRODUCTS, more) | {"mesh": link}
    return model_chain(wafer, {layer: LayerWays(way, hold)
                               for layer in range(wafer.shape.n_layers)})


def _figures(place: Place, found: Service, traffic: Requests) -> dict[str, Any]:
    wafer, clock = found.wafer, place.clock_ghz * 1e9
    chain = _chain(place, found)
    if wafer.shape.kind == "encoder":
        served = found.serve(traffic)
    else:
        served = run(chain, found.rules, traffic.at(clock), grain=place.grain)
    power = Power(wafer=wafer, technology=load_technology())
    metrics = summary(served, clock, dict(place.limits))
    energy = {}
    for corner in CORNERS:
        one = power.energy(served, clock, corner)
        energy[corner] = {
            "dynamic_per_output": one.dynamic.total / max(1, one.events.tokens_out),
            "array_share": one.dynamic.array / one.dynamic.total,
            "leakage_w": one.leakage / one.seconds, "watts": one.watts,
            "joules_per_output": one.per_output}
    return {
        **{name: metrics[name] for name in (
            "output_tokens_per_s", "tokens_per_s", "requests", "requests_refused",
            "goodput_requests_per_s", "good_share", "seconds", *TIMES)},
        "clock_ghz": place.clock_ghz, "members": wafer.members,
        "copies": found.copies, "kv_tokens": wafer.kv_tokens,
        "interval_cycles": wafer.interval_cycles, "latency_cycles": chain.latency(wafer.context),
        "interval_binds": f"{wafer.slowest.binds} of {wafer.slowest.name}",
        "tokens_to_fill": wafer.tokens_to_fill, "sequences": served.sequences,
        "kv_share": served.kv_share, "recomputed_share": served.recomputed / max(1, served.tokens),
        "pipeline_share": served.injected * wafer.interval_cycles / found.copies / max(
            1, served.cycles),
        "energy": energy}


def _baseline(place: Place) -> dict[str, Any]:
    system = BASELINES.get(place.system)
    if system is None:
        raise BaselineError(f"system must be {WAFER} or one of {', '.join(BASELINES)}, not "
                            f"{place.system!r}")
    one_by_one = isinstance(system, Wse2)
    count = min(place.requests, WSE2_REQUESTS) if one_by_one else place.requests
    served = system.serve(load_shape(place.model), drawn(
        place.mix, count, rate=place.rate, digest=place.digest))
    times = served.latencies()
    found: dict[str, Any] = {
        "output_tokens_per_s": served.tokens_per_s, "requests": count - served.refused,
        "requests_refused": served.refused,
        "joules_per_output": [[one.name, served.joules_per_token()[one.name]]
                              for one in served.energies]}
    return found | {name: times[name] or None for name in TIMES}
