"""Digests of parameters, for results to say what made them."""

import dataclasses
import hashlib
import json
from typing import Any

__all__ = ["digest_of"]


def digest_of(params: Any) -> str:
    """SHA-256 of a dataclass of plain values: its fields by name, in any order."""
    text = json.dumps(dataclasses.asdict(params), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
