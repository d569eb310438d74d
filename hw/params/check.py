"""Range checks shared by the parameter dataclasses."""


def at_least(name: str, value: int, low: int) -> None:
    """Refuse ``value`` below ``low``."""
    if value < low:
        raise ValueError(f"{name} must be at least {low}, not {value!r}")


def between(name: str, value: int, low: int, high: int) -> None:
    """Refuse ``value`` outside ``low`` to ``high``, both included."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}, not {value!r}")


def power_of_two(name: str, value: int) -> None:
    """Refuse anything but 1, 2, 4, ..."""
    if value < 1 or value & (value - 1):
        raise ValueError(f"{name} must be a power of two, not {value!r}")
