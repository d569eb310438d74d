"""Dies of several kinds for a model and a trace: options in, wafers out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.shared import OnWafer, WithShape
from ouroboros.sw.energy.technology import load_technology
from ouroboros.sw.lib.options import option
from ouroboros.sw.models.config_shape import any_shape
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.areas import load_silicon
from ouroboros.sw.search.wafer.classes import Mix, mixed_decode
from ouroboros.sw.search.wafer.designs import Model
from ouroboros.sw.search.wafer.factors import Factor, factors, sweep
from ouroboros.sw.search.wafer.search import Found, search
from ouroboros.sw.search.wafer.traffic import Served, serve
from ouroboros.sw.wafer.requests import Requests, at_rate, read_trace

__all__ = ["WaferSearchOptions", "WaferSearched", "search_wafer"]

SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class WaferSearchOptions(OnWafer, WithShape):
    """A model, its traffic, and how long is searched."""

    trace: Path | None = option(None)
    """Requests: a CSV file with the columns arrival_s, input_tokens, output_tokens; must be
    given."""
    requests: int = option(500, least=1, metavar="N")
    """Of the trace, the first so many are served at last; lengths are those of all."""
    seconds: float | None = option(None, metavar="S")
    """Wall time of the search; 120 if neither this nor --evaluations is given."""
    evaluations: int | None = option(None, metavar="N")
    """Designs and places to try instead: the same seed gives the same wafer."""
    seed: int = option(0, metavar="N", least=0)
    """Of the search."""
    settings: tuple[str, ...] = option((), flag="--set", metavar="NAME=VALUE")
    """Another value for a figure of silicon, such as cell_density=14.8; may be repeated."""

    def given(self) -> dict[str, float]:
        """Figures with other values."""
        found = {}
        for setting in self.settings:
            name, _, value = setting.partition("=")
            try:
                found[name] = float(value)
            except ValueError:
                raise SearchError("a figure must be given as name=number, "
                                  f"not {setting!r}") from None
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class WaferSearched:
    """The winner beside the homogeneous wafer."""

    options: WaferSearchOptions
    """What was asked for."""
    model: Model
    """Model, silicon, context."""
    found: Found
    """The search."""
    factors: list[Factor]
    """Each part switched on one by one."""
    mixes: tuple[Mix, Mix]
    """Decode by the classes of the trace: on the homogeneous wafer, on the winner."""
    sweep: list[tuple[float, Factor]]
    """By density of cells."""
    served: tuple[Served, Served]
    """The first requests, all at once: homogeneous wafer, winner."""

    @property
    def factor(self) -> float:
        """Decode of the winner over that of the homogeneous wafer."""
        return self.found.best.decode / self.found.homogeneous.decode

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        base, silicon = self.found.homogeneous, self.model.silicon
        return {
            "model": self.model.shape.name, "machine": self.model.base.name,
            "context": self.model.context, "seed": self.options.seed,
            "homogeneous": base.as_dict(), "winner": self.found.best.as_dict(),
            "factor": self.factor, "bound_decode_tokens_per_s": self.found.bound,
            "designs": self.found.designs, "patterns": self.found.patterns,
            "interrupted": self.found.interrupted,
            "factors": [one.as_dict() for one in self.factors],
            "classes": dict(zip(("homogeneous", "winner"),
                                (one.as_dict() for one in self.mixes), strict=True)),
            "sweep": [{"cell_density": density, **one.as_dict()} for density, one in self.sweep],
            "served": dict(zip(("homogeneous", "winner"),
                               (one.as_dict() for one in self.served), strict=True)),
            "figures": {name: one.as_dict() for name, one in silicon.figures.items()},
            "core_mm2": {one.name: silicon.core_mm2(one) for one in sorted({
                base.design.kv, self.found.best.design.weights, self.found.best.design.kv})}}


def typical(requests: Requests) -> int:
    """Tokens of a mean request: the context that designs are held at."""
    return max(1, int((requests.prompts + requests.outputs).mean()))


def search_wafer(options: WaferSearchOptions,
                 progress: Callable[[float, float], None] = lambda spent, best: None,
                 ) -> WaferSearched:
    """Search dies for a model at equal silicon; then serve requests on both wafers.

    Raises
    ------
    OuroborosError
        If the trace or a figure is wrong, the budget is none, or the model does not fit.
    """
    if options.trace is None:
        raise SearchError("--trace FILE must be given: requests whose lengths count")
    seconds = options.seconds
    if seconds is None and options.evaluations is None:
        seconds = SECONDS
    requests = read_trace(options.trace)
    base = load_machine(options.machine)
    silicon = load_silicon(base, options.given())
    model = Model(silicon, any_shape(options.model), typical(requests))
    found = search(model, seconds=seconds, evaluations=options.evaluations, seed=options.seed,
                   progress=progress)
    first = at_rate(replace(requests, arrivals_s=requests.arrivals_s[:options.requests],
                            prompts=requests.prompts[:options.requests],
                            outputs=requests.outputs[:options.requests]), "all", 0)
    technology = load_technology()
    before = serve(model, found.homogeneous, first, technology)
    after = before if found.best is found.homogeneous else serve(
        model, found.best, first, technology)
    return WaferSearched(
        options=options, model=model, found=found, factors=factors(model, found),
        mixes=(mixed_decode(model, found.homogeneous, requests),
               mixed_decode(model, found.best, requests)),
        sweep=sweep(model, found, [load_silicon(base, options.given(), corner)
                                   for corner in ("low", "mid", "high")]),
        served=(before, after))
