"""A simulation that goes on as several: its process is copied where they part."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

__all__ = ["Branches", "branch_file"]


def branch_file(result: Path, number: int) -> Path:
    """Where a branch leaves its result."""
    return result.with_name(f"{result.name}.{number}")


class Branches:
    """A context around the run; a copy ends with it, and nothing of the simulator's end is its.

    One after the other, since the host has few processors and each copy as much memory as the
    machine that is simulated.

    Parameters
    ----------
    result : Path
        File of the run's result.
    told : callable
        Called with (branches that are over, of how many).
    """

    def __init__(self, result: Path, told: Callable[[int, int], None]):
        self._whole, self._told = result, told
        self.mine: int | None = None
        """Number of the branch that this process is; None: the run itself."""

    @property
    def result(self) -> Path:
        """File of this process' result."""
        return self._whole if self.mine is None else branch_file(self._whole, self.mine)

    def part(self, count: int) -> int | None:
        """See ``sw.runtime.job.Part``.

        Raises
        ------
        RuntimeError
            If a branch does not come to its end; it has written why.
        """
        for number in range(count):
            process = os.fork()
            if not process:
                self.mine = number
                return number
            _, status = os.waitpid(process, 0)
            if status:
                raise RuntimeError(f"branch {number} of the run must come to its end")
            self._told(number + 1, count)
        return None

    def __enter__(self) -> "Branches":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.mine is None:
            return
        if kind is not None:
            traceback.print_exc()
        # Files and buffers of the simulator are for the process that was copied to end.
        os._exit(int(kind is not None))
