"""Yield of cores and dies under random defects.

Ref: Murphy, "Cost-size optima of monolithic integrated circuits", Proc. IEEE 1964 (triangular
density); Stapper, "Defect density distribution for LSI yield calculations", IEEE Trans. Electron
Devices 1973 (gamma density, which gives the negative binomial yield).

Both models are one statement: the density of defects varies from place to place, D = g D0 with a
random g of mean 1, and a core of area A is good with probability exp(-A D). The yield of a core is
then the Laplace transform E[exp(-t g)] at t = A D0, and so is everything that is computed here:

    model              g                          E[exp(-t g)]
    poisson            1                          exp(-t)
    murphy             triangular on 0..2         ((1 - exp(-t)) / t)**2
    negative-binomial  gamma, shape ``alpha``     (1 + t / alpha)**-alpha
"""

import decimal
import functools
import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["MODELS", "REGIONS", "DefectError", "Process"]

MODELS = ("murphy", "negative-binomial", "poisson")
REGIONS = ("core", "die")
"""Where the density is drawn anew: for every core (cores fail independently), for every die."""
DIGITS = 200
"""Of the sums below, whose terms cancel to about (A D0)**spares."""


class DefectError(OuroborosError):
    """A yield model, a defect map or a file of one that cannot be worked with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """Random defects of a process, as seen by one core.

    Raises
    ------
    DefectError
        If a value is out of the range stated beside it.
    """

    density_per_cm2: float
    """Mean defect density D0; 0 to 100."""
    core_area_mm2: float
    """Area A in which one defect kills the core; above 0."""
    model: str = "murphy"
    """One of ``MODELS``."""
    alpha: float = 2.0
    """Shape of the gamma density (negative binomial only): small is clustered; above 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.density_per_cm2 <= 100:
            raise DefectError(f"defect density must be between 0 and 100 per cm2, "
                              f"not {self.density_per_cm2!r}")
        for name, value in (("core area (mm2)", self.core_area_mm2), ("alpha", self.alpha)):
            if not 0 < value < math.inf:
                raise DefectError(f"{name} must be above 0, not {value!r}")
        if self.model not in MODELS:
            raise DefectError(f"yield model must be one of {list(MODELS)}, not {self.model!r}")

    @property
    def defects_per_core(self) -> float:
        """A D0, the mean number of defects in a core."""
        return self.core_area_mm2 / 100 * self.density_per_cm2

    @property
    def core_yield(self) -> float:
        """Probability that a core is good."""
        return self.block_yield(1)

    def block_yield(self, cores: int) -> float:
        """Probability that ``cores`` neighbours, which share a density, are all good."""
        return float(_transform(self, cores))

    def expected_dead(self, cores: int) -> float:
        """Mean number of dead cores among ``cores``."""
        return cores * (1 - self.core_yield)

    def at_most_dead(self, cores: int, dead: int, region: str) -> float:
        """Probability that a die of ``cores`` has at most ``dead`` dead cores.

        Exact: cores that share a density (``region`` die) fail alike, and the sum over their
        number needs nothing but the transform above; cores with a density each fail independently.

        Raises
        ------
        DefectError
            If the region is unknown.
        """
        _known(region)
        with decimal.localcontext() as context:
            context.prec = DIGITS
            one = _transform(self, 1)
            total = Decimal(0)
            for k in range(min(dead, cores) + 1):
                if region == "core":
                    term = one ** (cores - k) * ((1 - one) ** k if k else 1)
                else:
                    # E[e^(-(cores-k) t g) (1 - e^(-t g))^k], the power expanded.
                    term = sum(((-1) ** n * math.comb(k, n) * _transform(self, cores - k + n)
                                for n in range(k + 1)), Decimal(0))
                total += math.comb(cores, k) * term
            return float(total)

    def densities(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
        """Random densities relative to D0, ``(count,)``, mean 1."""
        if self.model == "poisson":
            return np.ones(count)
        if self.model == "murphy":
            return rng.random(count) + rng.random(count)
        return rng.gamma(self.alpha, 1 / self.alpha, count)


@functools.lru_cache(maxsize=4096)
def _transform(process: Process, cores: int) -> Decimal:
    """E[exp(-t g)] at ``cores`` times the mean number of defects in one."""
    with decimal.localcontext() as context:
        context.prec = DIGITS
        t = cores * Decimal(process.defects_per_core)
        if not t:
            return Decimal(1)
        if process.model == "poisson":
            return (-t).exp()
        if process.model == "murphy":
            return ((1 - (-t).exp()) / t) ** 2
        alpha = Decimal(process.alpha)
        return (-alpha * (1 + t / alpha).ln()).exp()


def _known(region: str) -> None:
    if region not in REGIONS:
        raise DefectError(f"region of equal density must be one of {list(REGIONS)}, "
                          f"not {region!r}")
