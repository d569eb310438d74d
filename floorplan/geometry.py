"""Rectangles in nanometres; x to the east, y to the north, as in layout files."""

from dataclasses import dataclass

__all__ = ["NM_PER_MM", "NM_PER_UM", "Rect", "down", "up"]

NM_PER_UM = 1_000
NM_PER_MM = 1_000_000


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle."""

    x: int
    """West side, nm."""
    y: int
    """South side, nm."""
    width: int
    """To the east, nm."""
    height: int
    """To the north, nm."""

    @property
    def right(self) -> int:
        """East side, nm."""
        return self.x + self.width

    @property
    def top(self) -> int:
        """North side, nm."""
        return self.y + self.height

    @property
    def centre(self) -> tuple[int, int]:
        """Centre, nm, rounded down."""
        return self.x + self.width // 2, self.y + self.height // 2

    @property
    def mm2(self) -> float:
        """Area in square millimetres."""
        return self.width * self.height / NM_PER_MM ** 2

    def moved(self, dx: int, dy: int) -> "Rect":
        """The same elsewhere."""
        return Rect(self.x + dx, self.y + dy, self.width, self.height)

    def overlaps(self, other: "Rect") -> bool:
        """Whether they share area; touching is not overlapping."""
        return (self.x < other.right and other.x < self.right
                and self.y < other.top and other.y < self.top)

    def holds(self, other: "Rect") -> bool:
        """Whether the other lies inside."""
        return (self.x <= other.x and other.right <= self.right
                and self.y <= other.y and other.top <= self.top)


def down(value: float, grid: int) -> int:
    """Largest multiple of ``grid`` that is at most ``value``."""
    return int(value // grid) * grid


def up(value: float, grid: int) -> int:
    """Smallest multiple of ``grid`` that is at least ``value``."""
    return -int(-value // grid) * grid
