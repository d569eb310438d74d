"""Request classes: in how many of a head's members each class keeps its K and V.

A sequence that lies whole in one member needs no partial sums of others, so its tokens pass
attention sooner; the members of a head then take sequences in turn. One that one member does not
hold lies in all of them. Tokens of prompts have no home of their own: decode reads what they wrote.

No program does this yet: a SEND has one destination list for all tokens
(``kv_to_all_members`` among the wafer model's assumptions). It is an estimate apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.designs import Model
from ouroboros.sw.search.wafer.search import Candidate
from ouroboros.sw.wafer.requests import Requests

__all__ = ["Homes", "homes"]


@dataclass(frozen=True)
class Homes:
    """Where classes keep their KV."""

    short_members: int
    """Members that hold a sequence of the short class: 1, or all."""
    long_members: int
    """The same of the long one."""
    limit: int
    """Tokens of the longest short sequence."""
    short_share: float
    """Of decoded tokens, those of short sequences."""
    factor: float
    """Decode against all classes in all members."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"short_members": self.short_members, "long_members": self.long_members,
                "limit_tokens": self.limit, "short_share": self.short_share,
                "factor": self.factor}


def homes(model: Model, found: Candidate, requests: Requests) -> Homes:
    """The best home of each class: decode is bound by sequences over latency.

    Where members are one there is no choice. The pipeline's own limit is kept.
    """
    design = found.design
    every, room = design.members, found.wafer.kv.head_blocks // design.members
    limit = room * model.base.block_tokens
    lengths = requests.prompts + requests.outputs
    decoded = requests.outputs.astype(np.float64)
    share = float(decoded[lengths <= limit].sum() / decoded.sum())
    if every == 1:
        return Homes(1, 1, limit, share, 1.0)
    own, other = found.wafer.latency_cycles, found.wafer.latency_cycles
    try:
        one = model.half(design.kv, design.heads, 1)
        blocks = model.shape.n_layers
        other = own + blocks * (one.block_latency["attention"]
                                - found.wafer.kv.block_latency["attention"])
    except SearchError:     # the context does not fit one member
        return Homes(every, every, limit, share, 1.0)
    if other >= own:
        return Homes(every, every, limit, share, 1.0)
    hz = found.wafer.weights.clock_hz
    mean = share * other + (1 - share) * own
    decode = min(hz / found.wafer.interval_cycles, found.wafer.sequences * hz / mean)
    return Homes(1, every, limit, share, decode / found.decode)
