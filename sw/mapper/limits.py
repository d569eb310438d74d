"""What a machine has room for: the mapper's refusals."""

from dataclasses import dataclass

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["CoreLimits", "MapperError"]


class MapperError(OuroborosError):
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
        MapperError
            If ``need`` is above ``have``.
        """
        if need > have:
            raise MapperError(f"core {self.core}: {what} must be at most {have} on machine "
                              f"{self.machine.name!r}, not {need}: too many by {need - have}")
