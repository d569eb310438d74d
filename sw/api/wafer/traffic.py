"""A model's traffic on a full wafer: requests in, latencies and counts out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.sw.api.wafer.pools import WithPools, check_served, pools_as_dict, with_pools
from ouroboros.sw.api.wafer.wafer import EstimateOptions
from ouroboros.sw.energy.events import Events
from ouroboros.sw.energy.technology import load_technology
from ouroboros.sw.lib.digest import digest_of
from ouroboros.sw.lib.options import leaves, option
from ouroboros.sw.lib.quantities import CORNERS
from ouroboros.sw.models.config_shape import any_shape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.tier.edge_service import PooledService
from ouroboros.sw.tier.pictures import draw_kept
from ouroboros.sw.wafer.busiest_link import read_busiest_link
from ouroboros.sw.wafer.clocks import CAPS_W, clocks
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.counts import run_events
from ouroboros.sw.wafer.encoder import encoder_service
from ouroboros.sw.wafer.metrics import latencies, summary
from ouroboros.sw.wafer.pooled_run import PooledRun
from ouroboros.sw.wafer.power import Power
from ouroboros.sw.wafer.requests import Requests, at_rate, of_lengths, read_trace
from ouroboros.sw.wafer.run import GRAINS, MODES, Run
from ouroboros.sw.wafer.saturation import Saturation, find_rate
from ouroboros.sw.wafer.service import Service, service

__all__ = ["CSV_COLUMNS", "Served", "TrafficOptions", "serve_wafer"]

CSV_COLUMNS = ("request", "arrival_s", "input_tokens", "output_tokens", "served", "ttft_s",
               "tpot_s", "e2e_s", "preemptions")
POLICY = ("static_tokens", "headroom_blocks", "grain")
"""Options that an encoder has no use for."""


@dataclass(frozen=True, kw_only=True)
class TrafficOptions(EstimateOptions, WithPools):
    """A model on a machine, what is assumed, and what is asked of it."""

    trace: Path | None = option(None)
    """Requests: a CSV file with the columns arrival_s, input_tokens, output_tokens."""
    lengths: str = option("", metavar="PROMPT:OUTPUT")
    """Or requests that are alike, such as 512:128."""
    requests: int | None = option(None, least=1, metavar="N")
    """How many: of a trace the first, by default all; of --lengths 1,000."""
    rate: str = option("", metavar="xF|N|all")
    """When they arrive: xF times as fast as in the trace, N a second, or all at once; by default as
    in the trace, those of --lengths at once."""
    find_rate: bool = False
    """Search the highest rate at which the 99th percentiles hold the limits."""
    ttft_ms: float | None = option(None, above=0, metavar="F")
    """Limit of the time to the first token, for goodput and --find-rate."""
    tpot_ms: float | None = option(None, above=0, metavar="F")
    """Limit of the time per output token."""
    e2e_ms: float | None = option(None, above=0, metavar="F")
    """Limit of the time of a whole request."""
    mode: str = option("exact", choices=lambda: MODES)
    """Recurrence: exact, in full (to check that), or fast (first and last block only)."""
    grain: str = option("token", choices=lambda: GRAINS)
    """What goes through the machine as one: a token, or all of a prompt."""
    static_tokens: int = option(0, least=0, metavar="N")
    """Tokens that every sequence reserves; 0: as many as it has."""
    headroom_blocks: int = option(1, least=0, metavar="N")
    """KV blocks of a core kept free for growth when a sequence is admitted."""
    longest: int | None = option(None, least=1, metavar="N")
    """Positions that the programs have room for; by default the longest request's."""
    seed: int = option(0, least=0, metavar="N")
    """Of arrivals that are drawn."""
    technology: Path | None = option(None)
    """TOML file of energies that replace shipped ones, of the form of sw/energy/technology.toml."""
    corner: str = option("mid", choices=lambda: CORNERS)
    """Of these figures, for limits of power."""
    caps: tuple[float, ...] = option(CAPS_W, flag="--cap", metavar="W", above=0)
    """Power of the machine at most, in watts; may be repeated. The clock goes down until the mean
    power of the run holds it."""
    csv: Path | None = option(None, written=True, mark=",".join(CSV_COLUMNS))
    """Write a line for every request."""
    report: Path | None = option(None, written=True, mark="ouroboros wafer", suffixes=(".html",))
    """Write a page of its own: pictures, tables, sources. It takes some more runs."""

    @property
    def has_traffic(self) -> bool:
        """Whether requests are given."""
        return self.trace is not None or bool(self.lengths)

    def check_no_traffic(self) -> None:
        """Refuse options that need requests where there are none.

        Raises
        ------
        PerfError
            Names the first.
        """
        own = {one.name: one for one in leaves(TrafficOptions)}
        for one in leaves(EstimateOptions):
            del own[one.name]
        for name, one in own.items():
            if getattr(self, name) != one.default:
                raise PerfError(f"{one.flag} needs requests: give --trace or --lengths")

    @property
    def limits(self) -> dict[str, float]:
        """Seconds by name of latency."""
        return {name: value / 1e3 for name, value in (
            ("ttft", self.ttft_ms), ("tpot", self.tpot_ms), ("e2e", self.e2e_ms))
            if value is not None}

    def read_requests(self) -> Requests:
        """What is asked for.

        Raises
        ------
        OuroborosError
            If it is neither or both of a trace and lengths, or one of them is wrong.
        """
        if (self.trace is not None) == bool(self.lengths):
            raise PerfError("requests must be those of --trace or of --lengths, one of the two")
        found = (read_trace(self.trace, self.requests) if self.trace is not None
                 else of_lengths(self.lengths, self.requests or 1000))
        return at_rate(found, self.rate, self.seed) if self.rate else found


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """What came of the requests."""

    options: TrafficOptions
    """What was asked for."""
    service: Service
    """The model on the machine, and its policy."""
    requests: Requests
    """What arrived when; of --find-rate: at the rate that was found."""
    run: Run
    """What came of it."""
    power: Power
    """What it draws."""
    by_clock: Mapping[str, Mapping[str, Any]]
    """Metrics at other clocks, by their name, and within limits of power."""
    saturation: Saturation | None = None
    """The highest rate, where it was searched."""

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Throughput and percentiles."""
        return summary(self.run, self.service.wafer.clock_hz, self.options.limits)

    @cached_property
    def events(self) -> Events:
        """What the machine did."""
        return run_events(self.service.wafer, self.run)

    @property
    def utilisation(self) -> dict[str, float]:
        """Share of time for which the busiest cell of each kind is held."""
        chain, run = self.service.chain, self.run
        contexts = float((run.by_context * chain.hold_at).sum())
        tokens, found = run.injected, dict[str, float]()
        for cell in chain.cells:
            kind = cell.name.rstrip("0123456789 ")
            held = (cell.hold * tokens + (contexts if cell.context else 0)) / self.service.copies
            found[kind] = max(found.get(kind, 0.0), held / max(run.cycles, 1))
        return found

    def rows(self) -> list[dict[str, Any]]:
        """A line for every request, with ``CSV_COLUMNS``."""
        times = latencies(self.run, self.service.wafer.clock_hz)

        def seconds(name: str, n: int) -> float | str:
            value = float(times[name][n])
            return "" if np.isnan(value) else value
        return [{
            "request": n, "arrival_s": float(self.requests.arrivals_s[n]),
            "input_tokens": int(self.requests.prompts[n]),
            "output_tokens": int(self.requests.outputs[n]), "served": int(self.run.served[n]),
            "ttft_s": seconds("ttft", n), "tpot_s": seconds("tpot", n),
            "e2e_s": seconds("e2e", n), "preemptions": int(self.run.preemptions[n])}
            for n in range(len(self.requests.prompts))]

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        wafer, run, rules = self.service.wafer, self.run, self.service.rules
        found = {
            "machine": wafer.machine.name, "model": wafer.shape.name,
            "machine_digest": digest_of(wafer.machine), "model_digest": digest_of(wafer.shape),
            "traffic": self.requests.name, "rate": self.options.rate or "as given",
            "seed": self.options.seed, "mode": self.options.mode, "grain": self.service.grain,
            "clock_ghz": wafer.value("clock_ghz"), "context": wafer.context,
            "members": wafer.members, "wafers": wafer.wafers, "policy": rules._asdict(),
            "interval_cycles": wafer.interval_cycles, "latency_cycles": wafer.latency_cycles,
            "kv_tokens": wafer.kv_tokens, **self.metrics,
            "kv_share": run.kv_share, "kv_peak": run.kv_peak, "sequences": run.sequences,
            "preemptions": int(run.preemptions.sum()), "tokens_recomputed": run.recomputed,
            "tokens_without_room": run.poisoned, "utilisation": self.utilisation,
            "events": self.events.as_dict(), "by_clock": dict(self.by_clock),
            "energy": self.power.as_dict(run, wafer.clock_hz), "corner": self.options.corner,
            "technology": self.power.technology.as_dict(),
            "assumptions": [{"name": name, "value": one.mid, **one.as_dict()}
                            for name, one in wafer.assumptions.items()]}
        if isinstance(self.service, PooledService) and isinstance(run, PooledRun):
            found["pools"] = pools_as_dict(self.service, run, self.options)
        if self.saturation is not None:
            found["saturation"] = {"factor": self.saturation.factor, "tried": [
                {"factor": factor, "held": held} for factor, held in self.saturation.tried]}
        return found


def serve_wafer(options: TrafficOptions, machine: Machine | None = None) -> Served:
    """Serve requests on a wafer.

    Parameters
    ----------
    machine : Machine, optional
        Instead of the one that ``options`` name.

    Raises
    ------
    OuroborosError
        If the model does not fit, or the requests or an assumption are wrong.
    """
    requests, technology = options.read_requests(), load_technology(options.technology)
    found = _service(options, machine or load_machine(options.machine), requests)
    clock, saturation = found.wafer.clock_hz, None
    if options.find_rate:
        if not requests.arrivals_s[-1]:
            raise PerfError("a rate is searched from one that requests have: give --trace or "
                            "--rate N")
        # Every step is a run, so they are fast ones; the result is served as asked for.
        saturation = find_rate(lambda factor: summary(found.serve(
            at_rate(requests, f"x{factor!r}", options.seed), mode="fast"), clock, options.limits),
            options.limits)
        requests = at_rate(requests, f"x{saturation.factor!r}", options.seed)
    run = found.serve(requests, mode=options.mode)
    if isinstance(found, PooledService) and isinstance(run, PooledRun):
        check_served(found, run)
        if options.plot is not None:
            draw_kept(run, found.pools.token_bytes, clock, options.plot)
    power = Power(wafer=found.wafer, technology=technology, corner=options.corner)
    return Served(options=options, service=found, requests=requests, run=run, power=power,
                  saturation=saturation, by_clock=_by_clock(found, requests, run, power, options))


def _service(options: TrafficOptions, machine: Machine, requests: Requests) -> Service:
    """The model on the machine; encoders have no policy to choose."""
    options.check_pools()
    shape = options.of_head(any_shape(options.model))
    where = WaferOptions(members=options.members, wafers=options.wafers,
                         objective=options.objective, overrides=options.overrides(),
                         busiest_link=(None if options.mapped is None
                                       else read_busiest_link(options.mapped)))
    if options.pools:
        for name, least in (("static_tokens", 0), ("grain", "token")):
            if getattr(options, name) != least:
                raise PerfError(f"{name} must be {least} with pools, not {getattr(options, name)}")
        if shape.kind == "encoder":
            raise PerfError(f"pools must be 0 for an encoder, such as {shape.name!r}: it keeps no "
                            "K and V of what it has answered")
        return with_pools(options, machine, shape, where, requests, options.longest,
                          options.headroom_blocks)
    if shape.kind == "encoder":
        for one in leaves(TrafficOptions):
            if one.name in POLICY and getattr(options, one.name) != one.default:
                raise PerfError(f"{one.flag} must be left out for an encoder, such as "
                                f"{shape.name!r}: it keeps no K and V of what it has answered")
        return encoder_service(machine, shape, where, requests, options.longest)
    return service(machine, shape, where, requests, options.longest,
                   headroom_blocks=options.headroom_blocks, static_tokens=options.static_tokens,
                   grain=options.grain)


def _by_clock(found: Service, requests: Requests, run: Run, power: Power,
              options: TrafficOptions) -> dict[str, dict[str, Any]]:
    """Metrics at each clock, and within each limit of power there.

    Where times of arrival, or pools, are in seconds, a clock is another run.
    """
    # Pools keep their pace in seconds.
    timed = bool(requests.arrivals_s[-1]) or isinstance(found, PooledService)

    def serve(hz: float) -> Run:
        return found.serve(requests, mode="fast", clock_hz=hz)

    metrics = {}
    for name, value in clocks().items():
        hz = value.mid * 1e9
        at_clock = serve(hz) if timed and hz != found.wafer.clock_hz else run
        caps = []
        for cap in options.caps:
            held = power.throttled(at_clock, hz, cap, serve if timed else None)
            caps.append({"cap_w": cap, "clock_ghz": 0.0, "output_tokens_per_s": 0.0,
                         "tokens_per_s": 0.0, "watts": None, "joules_per_output_token": None}
                        if held is None else
                        {"cap_w": cap, "clock_ghz": held.clock_hz / 1e9,
                         **summary(held.run, held.clock_hz, options.limits),
                         "watts": held.energy.watts,
                         "joules_per_output_token": held.energy.per_output})
        energy = power.energy(at_clock, hz)
        metrics[name] = {"clock_ghz": value.mid, "source": value.source,
                         **summary(at_clock, hz, options.limits), "watts": energy.watts,
                         "joules_per_output_token": energy.per_output, "caps": caps}
    return metrics
