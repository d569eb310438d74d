"""Event counters of a run beside the model's counts: equal, or a fault of one of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.program.program import Program

__all__ = ["COUNTED", "Counted", "counted", "sequence_tokens"]

COUNTED = ("array_group_cycles", "row_writes", "byte_writes", "kv_operations", "sfu_elements",
           "flit_hops_data")
"""Counters that reading the counters does not change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """Sums over all cores with stages, by counter, and where one differs."""

    measured: dict[str, int]
    """On RTL."""
    predicted: dict[str, int]
    """By the model."""
    differing: tuple[tuple[Position, str], ...]
    """Cores and counters that are not equal."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"measured": self.measured, "predicted": self.predicted,
                "differing": [[*core, name] for core, name in self.differing]}


def sequence_tokens(prompt_tokens: int, fed: int, *, stream: bool) -> list[Token]:
    """What the host injects for a sequence: ``fed`` tokens, the prompt's but for its last without
    logits, and the one that frees its memory.
    """
    flags = int(Flag.STREAM) if stream else 0
    return [*(Token(n, int(Flag.QUIET) if n < prompt_tokens - 1 else flags) for n in range(fed)),
            Token(fed, int(Flag.FREE | Flag.QUIET))]


def counted(program: Program, counters: Mapping[Position, Mapping[str, int]],
            tokens: Iterable[Token]) -> Counted:
    """Hold the counters of a run against what its tokens should have counted.

    Parameters
    ----------
    counters : mapping of Position to mapping of str to int
        Of all cores with stages, by name (``hw.params.counters``, lower case), since their clear.
    tokens : iterable of Token
        All that went through the machine since.
    """
    stages = read_stages(program)
    want: dict[Position, Counter[str]] = {core: Counter() for core in counters}
    for token in tokens:
        for core, events in token_events(program, stages, token).items():
            if core in want:
                want[core] += events
    return Counted(
        measured={name: sum(one[name] for one in counters.values()) for name in COUNTED},
        predicted={name: sum(one[name] for one in want.values()) for name in COUNTED},
        differing=tuple((core, name) for core, one in counters.items() for name in COUNTED
                        if one[name] != want[core][name]))
