"""Runs from end to end, which several figures share: each is served once."""

from dataclasses import dataclass, field
from typing import Any

from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.lengths import draw
from ouroboros.sw.tier.serve import Run, run, too_long
from ouroboros.sw.tier.systems import SYSTEMS, system
from ouroboros.sw.tier.technology import Technology

__all__ = ["MODELS", "TITLES", "TRACE_TITLES", "Runs"]

MODELS = ("gpt-175b", "opt-66b", "qwen2-72b")
TITLES = {"gpt-175b": "GPT-175B", "opt-66b": "OPT-66B", "qwen2-72b": "QWEN-72B"}
TRACE_TITLES = {"openr1": "OpenR1", "dolphin": "Dolphin", "openthoughts": "OpenThoughts"}


@dataclass
class Runs:
    """Serves on demand, and keeps what was served."""

    technology: Technology
    """Of the tier."""
    requests: int = 1000
    """Of each run."""
    seed: int = 1
    """Of the lengths."""
    kept: dict[tuple[Any, ...], Run | None] = field(default_factory=dict)

    def get(self, model: str, trace: str, name: str, **changes: Any) -> Run | None:
        """A run; none where the trace does not fit the system.

        Parameters
        ----------
        name : str
            Of ``SYSTEMS``.
        changes
            See ``systems.system``; and ``requests``, ``seed``.
        """
        key = (model, trace, name, tuple(sorted(changes.items())))
        if key not in self.kept:
            requests = changes.pop("requests", self.requests)
            seed = changes.pop("seed", self.seed)
            found = system(name, load_shape(model), self.technology, **changes)
            traffic = draw(trace, requests, seed)
            self.kept[key] = None if len(too_long(found, traffic)) else run(found, traffic)
        return self.kept[key]

    def need(self, model: str, trace: str, name: str, **changes: Any) -> Run:
        """The same where it must fit.

        Raises
        ------
        TierError
            If it does not.
        """
        found = self.get(model, trace, name, **changes)
        if found is None:
            raise TierError(f"{trace} must fit {name} with {model}: give the pool more room")
        return found

    @property
    def systems(self) -> tuple[str, ...]:
        """In the publication's order."""
        return tuple(SYSTEMS)
