"""Many points of the wafer model: options in, a table out."""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.wafer.traffic import TrafficOptions, serve_wafer
from ouroboros.sw.api.wafer.wafer import estimate_wafer
from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.lib.options import Leaf, Options, leaves, make, option
from ouroboros.sw.sweep.engine import Progress, run_points
from ouroboros.sw.sweep.errors import SweepError
from ouroboros.sw.sweep.machine_keys import keys as machine_keys
from ouroboros.sw.sweep.machine_keys import machine_with
from ouroboros.sw.sweep.point import Point, grid, parse_over
from ouroboros.sw.sweep.store import Store
from ouroboros.sw.sweep.table import HEAD, Row, pareto, parse_goal, rows
from ouroboros.sw.wafer.assumptions import STATEMENT, assumptions

__all__ = ["KIND", "SweepOptions", "Swept", "measure_wafer", "sweep_wafer"]

KIND = "wafer"
NOT_SWEPT = ("csv", "report", "settings", "find_rate", "clock_ghz", "caps", "mapped")
"""Options of the wafer model that are no keys; the clock is the assumption ``clock_ghz``."""
GOALS = {True: ("max:output_tokens_per_s", "min:joules_per_output_token"),
         False: ("max:decode_tokens_per_s", "max:prefill_tokens_per_s")}
"""Of points with requests, and of those without."""
OF_ONE_TOKEN = ("decode_tokens_per_s", "prefill_tokens_per_s", "interval_cycles", "interval_binds",
                "latency_cycles", "latency_us", "sequences", "kv_tokens", "decode_binds")


@dataclass(frozen=True, kw_only=True)
class SweepOptions(Options):
    """Keys and their values, and where points are run."""

    over: tuple[str, ...] = option(metavar="KEY=a,b,c")
    """A key and its values; may be repeated, for every combination. A key is an option of ouroboros
    wafer (model, members, lengths, grain, ..), a key of the machine (kv.ring, noc.flit_bits, ..) or
    an assumption (clock_ghz, defect_density_per_cm2, ..)."""
    settings: tuple[str, ...] = option((), flag="--set", metavar="KEY=VALUE")
    """The same value in all points; may be repeated."""
    on: str = option("here", metavar="here|local|dask://HOST")
    """Where: in this process, on workers here, or on those of a Dask scheduler."""
    workers: int = option(2, least=1, most=1024, metavar="N")
    """Processes of --on local."""
    goals: tuple[str, ...] = option((), flag="--goal", metavar="max:COLUMN|min:COLUMN")
    """What the best set is best for; may be repeated. By default throughput and energy of requests,
    or tokens/s of decode and prefill."""
    store: Path | None = option(None, path="folder")
    """Folder of results by digest; by default one in the cache. What is there is not run again."""
    csv: Path | None = option(None, written=True, mark=HEAD)
    """Write the table as CSV."""
    parquet: Path | None = option(None, written=True, mark="PAR1", suffixes=(".parquet",))
    """Write the table as Parquet."""
    plot: Path | None = option(None, written=True, mark="Matplotlib", suffixes=(".svg", ".png"))
    """Draw the points in the plane of the first two goals, the best set joined."""

    def points(self) -> list[dict[str, str]]:
        """Every combination, with what is the same in all.

        Raises
        ------
        SweepError
            If a key or value is wrong.
        """
        same = {}
        for setting in self.settings:
            key, equal, value = setting.partition("=")
            if not (key and equal and value):
                raise SweepError(f"--set must be KEY=VALUE, not {setting!r}")
            same[key.strip()] = value.strip()
        over = [parse_over(text) for text in self.over]
        for key, values in over:
            if key in same:
                raise SweepError(f"key {key!r} must be given by --over or by --set, not both")
            _check_key(key, values)
        for key, value in same.items():
            _check_key(key, (value,))
        return [same | point for point in grid(over)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """A table of points."""

    options: SweepOptions
    """What was asked for."""
    table: Sequence[Row]
    """Keys and figures of every point."""
    goals: Sequence[str]
    """What for."""
    best: Sequence[int]
    """Rows that nothing beats."""
    folder: Path
    """Where results lie."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"over": list(self.options.over), "set": list(self.options.settings),
                "goals": list(self.goals), "points": len(self.table),
                "refused": sum(bool(row[HEAD]) for row in self.table),
                "best": list(self.best), "table": [dict(row) for row in self.table]}


def sweep_wafer(options: SweepOptions, progress: Progress = lambda done, total: None,
                say: typing.Callable[[str], None] = lambda text: None) -> Swept:
    """Run every point that has not been run before.

    Raises
    ------
    OuroborosError
        If a key or value is wrong, a scheduler does not answer, or a result cannot be kept.
    """
    points = options.points()
    chosen = options.goals or GOALS[any(key in points[0] for key in ("trace", "lengths"))]
    goals = [parse_goal(goal) for goal in chosen]
    store = Store(options.store or cache_folder("sweep"))
    found = run_points(KIND, points, measure_wafer, store, on=options.on, workers=options.workers,
                       progress=progress, say=say)
    table = rows(points, found)
    best = pareto(table, goals) if any(not row[HEAD] for row in table) else []
    return Swept(options=options, table=table, goals=chosen, best=best,
                 folder=store.folder)


def measure_wafer(point: Point) -> dict[str, Any]:
    """Figures of the wafer model at a point: of requests if it has any, else of one token.

    Raises
    ------
    OuroborosError
        If the model refuses.
    """
    options, machine = _options(point)
    if not options.has_traffic:
        found = estimate_wafer(options, machine).as_dict()
        return {name: found[name] for name in OF_ONE_TOKEN} | {
            "members_used": found["cores"]["kv_members_per_head"]}
    served = serve_wafer(options, machine).as_dict()
    names = ("output_tokens_per_s", "tokens_per_s", "requests_per_s", "goodput_requests_per_s",
             "requests_refused", "kv_share", "kv_peak", "sequences", "preemptions",
             "tokens_recomputed", "kv_tokens", "interval_cycles", "latency_cycles")
    flat = {name: served[name] for name in names} | {
        "requests_served": served["requests"], "members_used": served["members"]}
    for latency in ("ttft_s", "tpot_s", "e2e_s"):
        flat |= {f"{latency}_{share}": (served[latency] or {}).get(share)
                 for share in ("p50", "p99")}
    energy = served["energy"][options.corner]
    flat |= {"watts": energy["watts"], "joules_per_output_token": energy["joules_per_output_token"]}
    for clock in served["by_clock"].values():
        for cap in clock["caps"]:
            flat[f"output_tokens_per_s_at_{clock['clock_ghz']:g}_ghz_{cap['cap_w']:g}_w"] = cap[
                "output_tokens_per_s"]
    return flat


def _keys() -> dict[str, Leaf]:
    """Options that are keys, by name."""
    return {leaf.name: leaf for leaf in leaves(TrafficOptions) if leaf.name not in NOT_SWEPT}


def _assumptions() -> list[str]:
    return [name for name, one in assumptions({}).items() if one.unit != STATEMENT]


def _check_key(key: str, values: Sequence[str]) -> None:
    """Refuse a key that no point can have, and values of another type."""
    leaf = _keys().get(key)
    if leaf is not None:
        for value in values:
            _value(leaf, value)
    elif key not in (known := [*machine_keys(load_machine("wafer")), *_assumptions()]):
        raise SweepError(f"key must be an option of ouroboros wafer ({', '.join(_keys())}), a key "
                         f"of the machine or an assumption ({', '.join(known)}), not {key!r}")
    elif key in _assumptions():
        for value in values:
            _number(key, value)


def _options(point: Point) -> tuple[TrafficOptions, Any]:
    """Options and machine of a point."""
    own = {key: _value(leaf, point[key]) for key, leaf in _keys().items() if key in point}
    known = _assumptions()
    own["settings"] = tuple(f"{key}={value}" for key, value in point.items() if key in known)
    options = make(TrafficOptions, own)
    changed: Mapping[str, str] = {key: value for key, value in point.items() if "." in key}
    return options, machine_with(load_machine(options.machine), changed)


def _value(leaf: Leaf, text: str) -> Any:
    """Value of an option from its text."""
    kind = leaf.type
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind, = (one for one in typing.get_args(kind) if one is not type(None))
    if kind is bool:
        if text not in ("true", "false"):
            raise SweepError(f"{leaf.name} must be true or false, not {text!r}")
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        raise SweepError(f"{leaf.name} must be {'a whole number' if kind is int else 'a number'}, "
                         f"not {text!r}") from None


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SweepError(f"{key} must be a number, not {text!r}") from None
