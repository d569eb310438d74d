"""A core's tables: entries as they were written, taken apart when they are read."""

from ouroboros.hw.params.format import Format
from ouroboros.hw.params.isa import Op, disassemble
from ouroboros.hw.params.packet import Unit
from ouroboros.sw.golden.array import CoreError

__all__ = ["CoreTables"]


class CoreTables:
    """Programs, stages, destination and credit lists of one core.

    Parameters
    ----------
    place : tuple of int
        Coordinates (x, y), used in messages.
    """

    def __init__(self, place: tuple[int, int]):
        self.place = place
        self._raw: dict[int, dict[int, int]] = {}
        # Entries taken apart, for as long as they are not written again.
        self._program: dict[int, tuple[Op, dict[str, int]]] = {}
        self._entries: dict[tuple[int, int], dict[str, int]] = {}

    def write(self, unit: int, address: int, value: int) -> None:
        """Set an entry."""
        self._raw.setdefault(unit, {})[address] = value
        self._entries.pop((unit, address), None)
        if unit == Unit.PROGRAM:
            self._program.pop(address, None)

    def written(self, unit: Unit) -> dict[int, int]:
        """Entries of a unit as they were written, by address."""
        return self._raw.get(unit, {})

    def entry(self, unit: Unit, address: int, fmt: Format) -> dict[str, int]:
        """Fields of an entry.

        Raises
        ------
        CoreError
            If it was never written.
        """
        fields = self._entries.get((unit, address))
        if fields is None:
            fields = self._entries[unit, address] = fmt.unpack(self.word(unit, address))
        return fields

    def instruction(self, address: int) -> tuple[Op, dict[str, int]]:
        """Operation and fields of a program word.

        Raises
        ------
        CoreError
            If it was never written.
        """
        if address not in self._program:
            self._program[address] = disassemble(self.word(Unit.PROGRAM, address))
        return self._program[address]

    def word(self, unit: Unit, address: int) -> int:
        """An entry as it was written.

        Raises
        ------
        CoreError
            If it was never written.
        """
        try:
            return self._raw[unit][address]
        except KeyError:
            raise CoreError(f"core {self.place}: {unit.name} entry {address} was never "
                            "written") from None
