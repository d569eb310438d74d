"""How long a search may go on: wall time or evaluated moves."""

import time

from ouroboros.sw.place.errors import PlaceError

__all__ = ["Budget"]

DRAWS_PER_MOVE = 8
"""The kernel gives up after so many draws for each move it was asked for."""


class Budget:
    """Counts what is spent. With ``moves``, what a search does depends on no clock.

    Raises
    ------
    PlaceError
        If both or none are given, or one is not positive.
    """

    def __init__(self, seconds: float | None, moves: int | None) -> None:
        if (seconds is None) == (moves is None):
            raise PlaceError("budget must be seconds or moves, one of the two")
        if (seconds or 0) <= 0 and (moves or 0) <= 0:
            raise PlaceError(f"budget must be above 0, not {seconds if moves is None else moves}")
        self._seconds, self._moves = seconds, moves
        self.evaluated = self.accepted = 0
        self._asked = 0
        self._began = time.perf_counter()

    def start(self) -> None:
        """Start the clock and the counts."""
        self.evaluated = self.accepted = self._asked = 0
        self._began = time.perf_counter()

    def count(self, asked: int, evaluated: int, accepted: int) -> None:
        """Add one call of the kernel."""
        self._asked += asked
        self.evaluated += evaluated
        self.accepted += accepted

    @property
    def elapsed_s(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._began

    @property
    def spent(self) -> float:
        """Fraction of the budget; 1 or more at the end."""
        if self._moves is None:
            return self.elapsed_s / (self._seconds or 1.0)
        # Where nothing can be evaluated, calls have to count, or the end would never come.
        return max(self.evaluated, self._asked // DRAWS_PER_MOVE) / self._moves

    def share(self, moves: int, threads: int) -> int:
        """Moves for each thread: as many as asked for, or what is left."""
        if self._moves is not None:
            return max(1, min(moves, -(-(self._moves - self.evaluated) // threads)))
        if self.evaluated:
            speed = self.evaluated / threads / self.elapsed_s
            left = (self._seconds or 0.0) - self.elapsed_s
            return max(1, min(moves, int(speed * left) + 1))
        return moves
