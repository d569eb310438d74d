"""All figures of the publication beside the model's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ouroboros.sw.tier.energy import need_currents
from ouroboros.sw.tier.figures.ablation import ablation_group
from ouroboros.sw.tier.figures.bar import Bars, Group
from ouroboros.sw.tier.figures.energy import energy_group
from ouroboros.sw.tier.figures.links import link_group, micro_efficiency
from ouroboros.sw.tier.figures.runs import Runs
from ouroboros.sw.tier.figures.scaling import capacity_group, headline_group, scaling_group
from ouroboros.sw.tier.figures.scheduling import Predicted, predicted, scheduler_group
from ouroboros.sw.tier.figures.throughput import throughput_groups
from ouroboros.sw.tier.technology import Currents, Technology

__all__ = ["Compared", "compare"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What came of it."""

    groups: tuple[Group, ...]
    """Figures."""
    predictions: tuple[Predicted, ...]
    """Errors of the scheduler's predictions."""
    requests: int
    """Of each run."""
    bars: str
    """File of published bars; empty: none."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Groups that are farther off than they may be."""
        return tuple(group.title for group in self.groups if group.holds is False)

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"bars": self.bars, "requests": self.requests,
                "groups": [group.as_dict() for group in self.groups],
                "predictions": [one.as_dict() for one in self.predictions],
                "failed": list(self.failed)}


def compare(bars: Bars, technology: Technology, currents: Currents | None, *,
            requests: int = 1000, seed: int = 1,
            progress: Callable[[str], None] = lambda _: None) -> Compared:
    """Every figure.

    Parameters
    ----------
    requests, seed
        Of runs from end to end.
    progress : callable, optional
        Told what is computed next.
    """
    currents = need_currents(currents)
    runs = Runs(technology, requests, seed)
    progress("micro-benchmarks")
    efficiency, _ = micro_efficiency(bars, technology)
    groups = [link_group(bars, technology), ablation_group(bars, technology, efficiency)]
    progress("runs from end to end")
    groups += throughput_groups(bars, runs)
    groups += [headline_group(bars, runs), capacity_group(bars, runs),
               energy_group(bars, runs, currents)]
    progress("scaling")
    groups.append(scaling_group(bars, runs))
    progress("scheduler")
    groups.append(scheduler_group(bars, runs))
    return Compared(groups=tuple(groups), predictions=tuple(predicted(runs)), requests=requests,
                    bars="" if bars.path is None else str(bars.path))
