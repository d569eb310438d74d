"""Other machines on the same traffic: options in, what was served or fitted out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.sw.api.shared import WithShape
from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.baselines.fit import FITTED, SINGLE, Fit, fit
from ouroboros.sw.baselines.points import read_points
from ouroboros.sw.baselines.published import UNPUBLISHED, Check, check_dgx, check_wse2
from ouroboros.sw.baselines.served import Served
from ouroboros.sw.baselines.systems import BASELINES, DEVICES
from ouroboros.sw.baselines.traffic import Traffic, chat, equal, read_traffic
from ouroboros.sw.baselines.wse2 import Wse2
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.models.shape import load_shape

__all__ = ["BaselineListOptions", "CheckOptions", "Checked", "FitOptions", "ServeOptions",
           "check_baselines", "fit_baseline", "list_baselines", "serve_baseline"]


@dataclass(frozen=True, kw_only=True)
class BaselineListOptions(Options):
    """No options."""


@dataclass(frozen=True, kw_only=True)
class ServeOptions(WithShape):
    """A baseline, a model and traffic."""

    baseline: str = option("dgx-a100", placed=True, choices=lambda: tuple(BASELINES))
    """Which."""
    trace: Path | None = option(None)
    """CSV file with the columns arrival_s, input_tokens, output_tokens; else --lengths."""
    rate: float = option(1.0, metavar="F", above=0)
    """Times as fast as the trace; inf: all requests at once."""
    lengths: str = option("247:233", metavar="IN:OUT")
    """Tokens of every prompt and text, or their means."""
    spread: float = option(1.0, metavar="F", least=0, most=3)
    """Standard deviation of the logarithm of lengths; 0: all equal."""
    requests: int = option(1000, metavar="N", least=1, most=10_000_000)
    """How many, all there from the beginning."""
    seed: int = option(0, metavar="N", least=0)
    """Of the lengths."""
    batch: int | None = option(None, metavar="N", least=1, most=1 << 20)
    """Most sequences of a replica at once; by default the baseline's."""
    tensor_parallel: int | None = option(None, metavar="N")
    """Devices of a replica; by default as few as the weights fill by half."""
    settings: tuple[str, ...] = option((), flag="--set", metavar="NAME=VALUE")
    """Another value for a constant; may be repeated."""

    def traffic(self) -> Traffic:
        """The requests."""
        if self.trace is not None:
            return read_traffic(self.trace).scaled(self.rate)
        prompt, colon, text = self.lengths.partition(":")
        try:
            means = float(prompt), float(text)
        except ValueError:
            means = 0.0, 0.0
        if not colon or not all(1 <= mean <= 1e6 for mean in means):
            raise BaselineError(f"lengths must be two numbers of at least 1, IN:OUT, "
                                f"not {self.lengths!r}")
        if not self.spread:
            return equal(self.requests, round(means[0]), round(means[1]))
        longest = max(1024, round(4 * max(means)))
        return chat(self.requests, *means, seed=self.seed, spread=self.spread, longest=longest)

    def constants(self) -> dict[str, float]:
        """Constants with other values."""
        found = {}
        for setting in self.settings:
            name, _, value = setting.partition("=")
            try:
                found[name] = float(value)
            except ValueError:
                raise BaselineError(f"a constant must be given as name=number, "
                                    f"not {setting!r}") from None
        return found


@dataclass(frozen=True, kw_only=True)
class CheckOptions(Options):
    """Measurements beside those that are built in."""

    points: Path | None = option(None)
    """CSV file of measured points of the DGX: kind, model, batch, tensor_parallel, input_tokens,
    output_tokens, tokens_per_s."""


@dataclass(frozen=True, kw_only=True)
class FitOptions(Options):
    """Measurements of a machine."""

    points: Path = option()
    """CSV file: kind (static or requests), model, batch, tensor_parallel, input_tokens,
    output_tokens, tokens_per_s."""
    baseline: str = option("dgx-a100", choices=lambda: tuple(DEVICES))
    """Whose other constants hold."""
    settings: tuple[str, ...] = option((), flag="--set", metavar="NAME=VALUE")
    """Another value for one of these, such as peak_tflops or bandwidth_gb_s; may be repeated."""
    free: tuple[str, ...] = option((), metavar="NAME", choices=lambda: tuple(FITTED))
    """A constant to fit; may be repeated. By default those that points of one device tell."""
    fit_model: tuple[str, ...] = option((), metavar="NAME")
    """Fit to the points of this model only, hold out the others; may be repeated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """Every baseline beside what is published of it."""

    checks: tuple[Check, ...]
    """One for each figure or set of figures."""
    unpublished: dict[str, str]
    """Why a baseline has no error."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"checks": [check.as_dict() for check in self.checks],
                "unpublished": self.unpublished}


def list_baselines(_: BaselineListOptions) -> dict[str, Any]:
    """Every baseline: title and constants."""
    return {name: {"title": one.title, "constants": one.constants.as_dict()}
            for name, one in BASELINES.items()}


def serve_baseline(options: ServeOptions) -> Served:
    """Traffic through a baseline.

    Raises
    ------
    OuroborosError
        If the model does not fit, or traffic or a constant is refused.
    """
    found, shape = BASELINES[options.baseline], load_shape(options.model)
    given, traffic = options.constants(), options.traffic()
    try:
        if isinstance(found, Wse2):
            if options.batch is not None or options.tensor_parallel is not None:
                raise BaselineError(f"batch and tensor_parallel must not be given for "
                                    f"{found.name}: it serves one sequence at a time")
            return replace(found, constants=found.constants.with_values(given, "--set")).serve(
                shape, traffic)
        return replace(found, constants=found.constants.with_values(given, "--set")).serve(
            shape, traffic, over=options.tensor_parallel, sequences=options.batch)
    except BaselineError:
        raise
    except ValueError as error:
        raise BaselineError(str(error)) from error


def check_baselines(options: CheckOptions) -> Checked:
    """Every baseline held against published figures.

    Raises
    ------
    OuroborosError
        If the file of points cannot be used.
    """
    points = () if options.points is None else read_points(options.points)
    return Checked(checks=(*check_dgx(points), *check_wse2()), unpublished=UNPUBLISHED)


def fit_baseline(options: FitOptions) -> Fit:
    """Constants fitted to measured points, and errors on those held out.

    Raises
    ------
    OuroborosError
        If the points do not suffice.
    """
    points = read_points(options.points)
    chosen: Sequence[str] = options.fit_model or tuple({point.model for point in points})
    for name in chosen:
        if name not in {point.model for point in points}:
            raise BaselineError(f"{options.points}: must have points of model {name!r}, which "
                                f"--fit-model names")
    base = DEVICES[options.baseline]
    try:
        base = replace(base, constants=base.constants.with_values(
            ServeOptions(settings=options.settings).constants(), "--set"))
    except BaselineError:
        raise
    except ValueError as error:
        raise BaselineError(str(error)) from error
    return fit(base, [point for point in points if point.model in chosen], options.free or SINGLE,
               [point for point in points if point.model not in chosen],
               f"fitted to {options.points}")
