"""Request classes: decode by the lengths of a trace, and in how many members each class is at home.

Requests fall into classes by length. By Little's law the share of a class in the sequences that
are alive is its share of decoded tokens times the latency of one; so room, latency and tokens/s of
the mix follow from those of the classes, each by the wafer model at its own context. That needs no
new program.

A home is a gene of each class: all members of a head, or one. A sequence that lies whole in one
member needs no partial sums of others, so its tokens pass attention sooner; the members then take
sequences in turn. No program does this yet: a SEND has one destination list for all tokens
(``kv_to_all_members`` among the wafer model's assumptions), and a home waits for all members. So
homes are searched and reported apart, and are part of no winner.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.designs import Model
from ouroboros.sw.search.wafer.search import Candidate
from ouroboros.sw.wafer.requests import Requests

__all__ = ["CLASSES", "LengthClass", "Mix", "mixed_decode"]

CLASSES = 3
"""Classes with as many requests each."""


@dataclass(frozen=True)
class LengthClass:
    """Requests of like length."""

    longest: int
    """Tokens of the longest, prompt and output."""
    decoded_share: float
    """Of all decoded tokens, theirs."""
    context: int
    """Tokens that a decoded token attends to, on average."""
    blocks: float
    """KV blocks that a sequence takes at its end, on average."""
    members: int
    """Of a head, in which a sequence lies: all, or 1."""
    latency_cycles: int
    """Of a decoded token."""


@dataclass(frozen=True)
class Mix:
    """Decode of a trace's classes at once."""

    classes: tuple[LengthClass, ...]
    """Shortest first; every class in all members."""
    decode: float
    """Tokens/s then."""
    homes: tuple[LengthClass, ...]
    """The same with the best home of each class; no program does this yet."""
    homes_decode: float
    """Tokens/s then; never below ``decode``."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"classes": [asdict(one) for one in self.classes],
                "decode_tokens_per_s": self.decode,
                "homes": [asdict(one) for one in self.homes],
                "homes_decode_tokens_per_s": self.homes_decode}


def mixed_decode(model: Model, found: Candidate, requests: Requests,
                 count: int = CLASSES) -> Mix:
    """Decode of a design under the classes of a trace.

    Parameters
    ----------
    count : int
        Classes; those that no request falls into are left out.

    Raises
    ------
    SearchError
        If no class fits the wafer.
    """
    every = found.design.members
    fitting = requests.prompts + requests.outputs <= found.wafer.kv.most_context
    if not fitting.any():
        raise SearchError(f"requests must be at most {found.wafer.kv.most_context:,} tokens, the "
                          "KV of this wafer, and none is")
    classes = _split(model, requests, fitting, count, every)
    genes: list[list[LengthClass]] = []
    for one in classes:
        genes.append([replace(one, latency_cycles=_latency(model, found, one.context, every))])
        own = _alone(model, found, one) if every > 1 else None
        if own is not None:
            genes[-1].append(own)
    plain = tuple(gene[0] for gene in genes)
    value = _decode(found, plain)
    best, most = plain, value
    for homes in product(*genes):
        if (other := _decode(found, homes)) > most:
            best, most = homes, other
    return Mix(plain, value, best, most)


def _split(model: Model, requests: Requests, fitting: Any, count: int,
           members: int) -> list[LengthClass]:
    """Classes of as many requests each, by length."""
    prompts, outputs = requests.prompts[fitting], requests.outputs[fitting]
    lengths = prompts + outputs
    blocks, decoded = -(-lengths // model.base.block_tokens), outputs.sum()
    found = []
    for part in np.array_split(np.argsort(lengths, kind="stable"), count):
        if not len(part):
            continue
        mine = outputs[part]
        context = ((prompts[part] + mine / 2) * mine).sum() / mine.sum()
        found.append(LengthClass(
            longest=int(lengths[part].max()), decoded_share=float(mine.sum() / decoded),
            context=max(1, int(context)), members=members, latency_cycles=0,
            # Of the sequences alive: those with more to decode are so for longer.
            blocks=float((blocks[part] * mine).sum() / mine.sum())))
    return found


def _latency(model: Model, found: Candidate, context: int, members: int) -> int:
    """Of a token at a context; places add the same at each."""
    design = found.design
    attention = model.half(design.kv, design.heads, members, context).block_latency["attention"]
    mean = found.wafer.kv.block_latency["attention"]
    return found.wafer.latency_cycles + model.shape.n_layers * (attention - mean)


def _alone(model: Model, found: Candidate, one: LengthClass) -> LengthClass | None:
    """A class with its sequences whole in one member; None: its longest does not fit."""
    room = found.wafer.kv.head_blocks // found.design.members
    if one.longest > room * model.base.block_tokens:
        return None
    try:
        latency = _latency(model, found, one.context, 1)
    except SearchError:
        return None
    # What of a member's room is too little for one more sequence is lost.
    used = max(1, int(room / one.blocks)) * one.blocks
    return replace(one, members=1, latency_cycles=latency, blocks=one.blocks * room / used)


def _decode(found: Candidate, classes: Sequence[LengthClass]) -> float:
    """Tokens/s of all classes at once, each in its share."""
    wafer = found.wafer
    mean = sum(one.decoded_share * one.latency_cycles for one in classes)
    blocks = sum(one.decoded_share * one.latency_cycles * one.blocks for one in classes) / mean
    sequences = min(wafer.kv.head_blocks / blocks, wafer.kv.machine.kv.sequences)
    hz = wafer.weights.clock_hz
    return float(min(hz / wafer.interval_cycles, sequences * hz / mean))
