"""A checkpoint to the machine's integers: options in, model and its cost out."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ouroboros.sw.api.weights import WithCheckpoint
from ouroboros.sw.lib.options import option
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.quantise.choose import AUTO
from ouroboros.sw.quantise.measure import Measured, MeasureOptions, measure
from ouroboros.sw.quantise.recipe import RECIPES
from ouroboros.sw.runtime.job import Progress

__all__ = ["QuantiseOptions", "Quantised", "quantise_model"]


@dataclass(frozen=True, kw_only=True)
class QuantiseOptions(WithCheckpoint):
    """A checkpoint, and what its scales come from."""

    calibration: Path | None = option(None)
    """Text that sets the scales; by default the model writes its own."""
    scheme: str = option(AUTO, choices=lambda: (AUTO, *RECIPES))
    """Integer definition: R, R2, or R where it fits and loses little, else R2."""
    text: Path | None = option(None)
    """Text to compare on, without what the calibration saw of it; by default the model writes
    its own."""
    tokens: int = option(4096, metavar="N", least=0)
    """Predictions to compare with the float model; 0 skips the comparison."""
    seed: int = option(0, metavar="N", least=0)
    """Seed of all sampled text."""
    residual_fraction_bits: int | None = option(None, metavar="N")
    """Fraction bits of the residual stream; by default from the calibration."""
    out: Path | None = option(None, written=True, mark="version.npy")
    """Write the integer model (.npz)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Quantised:
    """An integer model beside the float model."""

    options: QuantiseOptions
    """What it was made of."""
    parameters: int
    """Weights of the float model."""
    model: QuantModel
    """The integer model."""
    measured: Measured | None
    """Against the float model, and on what; None where nothing was compared."""

    def as_dict(self) -> dict[str, Any]:
        """For a file; the weights are not in it."""
        made = self.options
        return {
            "checkpoint": str(made.checkpoint),
            "calibration": None if made.calibration is None else str(made.calibration),
            "scheme": asdict(self.model.scheme) | {"name": self.model.scheme.name},
            "seed": made.seed, "residual_fraction_bits": self.model.residual_fraction_bits,
            "digest": self.model.digest,
            **({} if self.measured is None else {"evaluation": self.measured.as_dict()})}


def quantise_model(options: QuantiseOptions,
                   progress: Progress = lambda what, done, total: None) -> Quantised:
    """Quantise, write the integer model if wanted, and compare.

    Parameters
    ----------
    progress : Progress, optional
        Told of the steps ``calibrate`` and ``compare``.

    Raises
    ------
    OuroborosError
        If a file is wrong, or the weights do not fit the integers.
    """
    source = options.source()
    model = source.quantised(scheme=options.scheme, calibration=options.calibration,
                             seed=options.seed,
                             residual_fraction_bits=options.residual_fraction_bits,
                             progress=partial(progress, "calibrate"))
    if options.out is not None:
        model.save(options.out)
    measured = None
    if options.tokens:
        measured = measure(source, model, MeasureOptions(
            text=options.text, calibration=options.calibration, tokens=options.tokens,
            seed=options.seed), partial(progress, "compare"))
    return Quantised(options=options, parameters=source.checkpoint.parameter_count, model=model,
                     measured=measured)
