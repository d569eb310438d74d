"""Blocks broken on purpose, to see that their proofs fail."""

import importlib
import inspect

__all__ = ["broken"]


def broken(block: str, right: str, wrong: str) -> type:
    """Class of ``hw.noc.block`` with one place of its source replaced.

    Raises
    ------
    ValueError
        If that place is not there exactly once.
    """
    module = importlib.import_module(f"hw.noc.{block}")
    source = inspect.getsource(module)
    if source.count(right) != 1:
        raise ValueError(f"{right!r} must be in hw/noc/{block}.py once, "
                         f"not {source.count(right)} times")
    names = {"__name__": module.__name__}
    exec(compile(source.replace(right, wrong), f"{block}_wrong", "exec"), names)
    return names[block.capitalize()]
