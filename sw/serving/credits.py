"""Credits of the first stage: tokens that may go in."""

from collections.abc import Mapping

__all__ = ["Credits"]


class Credits:
    """Counters of free places, one for each core that takes tokens; a token needs one of each.

    Parameters
    ----------
    room : mapping
        Tokens that each counter's core has room for.
    """

    def __init__(self, room: Mapping[int, int]):
        self._room, self._free = dict(room), dict(room)

    @property
    def ready(self) -> bool:
        """Whether a token may go in."""
        return all(self._free.values())

    @property
    def home(self) -> bool:
        """Whether every credit is back."""
        return self._free == self._room

    def take(self) -> None:
        """A token goes in."""
        if not self.ready:
            raise ValueError(f"a token must find a credit of every counter, not {self._free!r}")
        for counter in self._free:
            self._free[counter] -= 1

    def give(self, counter: int) -> None:
        """A credit is back.

        Raises
        ------
        ValueError
            If none of this counter is out.
        """
        if self._free.get(counter) == self._room.get(counter):
            raise ValueError(f"a credit of counter {counter} must have been taken before it is "
                             f"given back")
        self._free[counter] += 1
