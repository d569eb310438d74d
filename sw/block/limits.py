"""What a machine has room for: refusals of models that do not fit."""

from dataclasses import dataclass

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["BlockError", "CoreLimits"]


class BlockError(OuroborosError):
    """A model does not fit a machine; says which limit and by how much."""


@dataclass(frozen=True, slots=True)
class CoreLimits:
    """Limits of one core."""

    machine: Machine
    """Sizes."""
    core: Position
    """Coordinates, used in messages."""

    def check(self, what: str, need: int, have: int) -> None:
        """Refuse ``need`` above what the machine has.

        Raises
        ------
        BlockError
            If ``need`` is above ``have``.
        """
        if need > have:
            raise BlockError(f"core {self.core}: {what} must be at most {have} on machine "
                             f"{self.machine.name!r}, not {need}: too many by {need - have}")
