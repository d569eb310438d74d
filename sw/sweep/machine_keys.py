"""A machine with other values for some of its keys."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.sweep.errors import SweepError

__all__ = ["is_key", "keys", "machine_with"]


def keys(machine: Machine) -> list[str]:
    """Dotted keys whose values are numbers, text, yes or no."""
    return [f"{part.name}.{one.name}" for part in dataclasses.fields(machine)
            if dataclasses.is_dataclass(value := getattr(machine, part.name))
            for one in dataclasses.fields(value)
            if isinstance(getattr(value, one.name), bool | int | float | str)]


def is_key(name: str, machine: Machine) -> bool:
    """Whether it is a key of the machine."""
    return name in keys(machine)


def machine_with(machine: Machine, values: Mapping[str, str]) -> Machine:
    """The machine with values by dotted key, as text.

    Raises
    ------
    SweepError
        If a value is of another type than the key's, or the machine refuses it.
    """
    for name, text in values.items():
        part, _, key = name.partition(".")
        held = getattr(machine, part)
        try:
            value = _parsed(text, getattr(held, key))
            machine = dataclasses.replace(machine, **{
                part: dataclasses.replace(held, **{key: value})})
        except ValueError as error:
            raise SweepError(f"machine key {name} cannot be {text!r}: {error}") from error
    return machine


def _parsed(text: str, like: Any) -> Any:
    if isinstance(like, bool):
        if text not in ("true", "false"):
            raise ValueError("it must be true or false")
        return text == "true"
    return type(like)(text)
