"""A function called as a command calls it, by name: what ``import ouroboros`` does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ouroboros.sw.lib.options import leaves, make
from ouroboros.sw.lib.write import check_output, check_outputs

__all__ = ["call"]

Made = TypeVar("Made")
Found = TypeVar("Found")


def call(cls: type[Made], function: Callable[[Made], Found], values: Mapping[str, Any]) -> Found:
    """Call a function with the options ``cls`` made of values by name.

    Raises
    ------
    OuroborosError
        If a value is refused, there is no such option, or a file that would be written is someone
        else's, one that is read, or another output.
    """
    options = make(cls, values)
    outputs: dict[str, Path] = {}
    inputs: list[Path] = []
    for leaf in leaves(cls):
        value = getattr(options, leaf.name)
        if leaf.rule.written and value is not None:
            check_output(value, leaf.rule.mark)
            outputs[leaf.name] = value
        elif isinstance(value, Path):
            inputs.append(value)
    check_outputs(outputs, inputs)
    return function(options)
