"""Functional coverage: what benches have met, noted once for each case."""

import json
import os
from enum import Enum
from pathlib import Path

__all__ = ["FILE", "VARIABLE", "met"]

VARIABLE = "MET"
"""Set: cases are noted in ``FILE`` of the folder of the run."""
FILE = "met.jsonl"
_known: set[tuple[str, ...]] = set()


def met(group: str, *case: object) -> None:
    """A case of a group, such as ``met("packet", Kind.DATA, "class 0")``, has come up."""
    if VARIABLE not in os.environ:
        return
    words = (group, *(one.name if isinstance(one, Enum) else str(one) for one in case))
    if words not in _known:
        _known.add(words)
        with Path(FILE).open("a") as file:
            file.write(json.dumps(words) + "\n")
