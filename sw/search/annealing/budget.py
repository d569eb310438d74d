"""How long a search may go on: seconds, or evaluations."""

import time
from dataclasses import dataclass, field

from ouroboros.sw.search.errors import SearchError

__all__ = ["Budget"]


@dataclass
class Budget:
    """What is spent. With ``evaluations``, what a search does depends on no clock.

    Raises
    ------
    SearchError
        If both or none are given, or one is not above 0.
    """

    seconds: float | None = None
    """Wall time."""
    evaluations: int | None = None
    """Mappings that are tried; those given up early count, too."""
    stopped: bool = False
    """Somebody asked to end."""
    used: int = 0
    """Evaluations so far."""
    _began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        given = self.seconds if self.evaluations is None else self.evaluations
        if (self.seconds is None) == (self.evaluations is None) or given is None:
            raise SearchError("budget must be seconds or evaluations, one of the two")
        if not given > 0:
            raise SearchError(f"budget must be above 0, not {given}")

    @property
    def spent(self) -> float:
        """Part of it, 0 to 1; 1 once it was stopped."""
        if self.stopped:
            return 1.0
        if self.evaluations is not None:
            return min(1.0, self.used / self.evaluations)
        assert self.seconds is not None, "one of the two is given"
        return min(1.0, (time.perf_counter() - self._began) / self.seconds)

    def share(self, threads: int) -> "Budget":
        """One thread's; together they are the whole."""
        return Budget(seconds=self.seconds, evaluations=None if self.evaluations is None
                      else max(1, self.evaluations // threads), _began=self._began)

    def next(self, step: int) -> int:
        """Evaluations of the next step: ``step``, or what is left."""
        return step if self.evaluations is None else max(0, min(step,
                                                                self.evaluations - self.used))
