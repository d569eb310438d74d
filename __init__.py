"""Ouroboros: an open wafer-scale SRAM compute-in-memory accelerator for language models.

The folders of the project are packages below this one: ``ouroboros.hw`` (hardware generator),
``ouroboros.sw`` (models, mapper, runtime, commands), ``ouroboros.tb`` (test benches and
simulators) and ``ouroboros.floorplan``.

What the commands do is here as plain functions that print nothing: ``machines``, ``models``,
``run``, ``wafer``, ``map`` and ``emit``. Arguments are the fields of the command's options
(``ouroboros.run(prompts=("One day",))``), and what comes back is the command's result. They are
imported when they are first asked for.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["emit", "machines", "map", "models", "run", "wafer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.notebook"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
