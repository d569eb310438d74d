"""Totals of a placed program: prefill and decode, from stage times and one token's way.

Prefill is followed token by token (``sw.perf.flow``). In decode a sequence's next token waits for
its last, so a round over N sequences takes the latency of one token, or N intervals if that is
more: a bound from below, see ``sw.perf.stage_time``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ouroboros.hw.params.packet import Flag
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.perf.flow import Flow, flow
from ouroboros.sw.perf.stage_time import MachineTime, machine_time
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.program.program import Program

__all__ = ["Decode", "Prediction"]


@dataclass(frozen=True, slots=True)
class Decode:
    """Decode of N sequences at one context."""

    sequences: int
    """Sequences that take turns."""
    round_cycles: int
    """Cycles for one token of each."""
    binds: str
    """``latency``, or what sets the interval."""

    @property
    def cycles_per_token(self) -> float:
        """Of the machine, not of one sequence."""
        return self.round_cycles / self.sequences


class Prediction:
    """Cycles of a program at a prompt length and a context.

    Parameters
    ----------
    program : Program
        A placed model.
    prompt_tokens : int
        Tokens of the prompt, at least 1.
    context : int
        Tokens that the decoded token attends to, itself included; at least 1.
    stream : bool
        Logits go to the host, as the runtime's default asks for.
    routers : bool
        Prefill is followed through every router (``sw.perf.flow``).

    Raises
    ------
    PerfError
        If the program's context is shorter.
    """

    def __init__(self, program: Program, *, prompt_tokens: int, context: int,
                 stream: bool = False, routers: bool = False):
        for name, value in (("prompt tokens", prompt_tokens), ("context", context)):
            if not 1 <= value <= program.context:
                raise PerfError(f"{name} must be between 1 and {program.context} (the context of "
                                f"the placed program), not {value}")
        self.program, self.prompt_tokens, self.context = program, prompt_tokens, context
        self._flags, self._routers = int(Flag.STREAM) if stream else 0, routers
        self._stages = read_stages(program)

    def _time(self, position: int, flags: int) -> MachineTime:
        return machine_time(self.program, self._stages, Token(position, flags))

    @cached_property
    def decode_time(self) -> MachineTime:
        """Every core's occupancy for a token at the context."""
        return self._time(self.context - 1, self._flags)

    @cached_property
    def first_token_latency(self) -> int:
        """Of a sequence's first token alone in the machine."""
        return self._time(0, self._flags).latency

    @cached_property
    def prefill(self) -> Flow:
        """The prompt's tokens on their way."""
        last = self.prompt_tokens - 1
        return flow(self.program, self._stages, [
            *(Token(position, Flag.QUIET) for position in range(last)),
            Token(last, self._flags)], routers=self._routers)

    @cached_property
    def prefill_interval(self) -> int:
        """Least cycles between tokens in the middle of the prompt, by the busiest unit."""
        return self._time(self.prompt_tokens // 2, Flag.QUIET).interval

    @cached_property
    def prefill_cycles(self) -> int:
        """From the prompt's first flit to its last token's result."""
        return self.prefill.results[-1]

    def decode(self, sequences: int) -> Decode:
        """A round over ``sequences``.

        Raises
        ------
        PerfError
            If the machine has no room for as many.
        """
        if not 1 <= sequences <= self.program.sequences:
            raise PerfError(f"sequences must be between 1 and {self.program.sequences} (rows of "
                            f"the page table), not {sequences}")
        time = self.decode_time
        turns = sequences * time.interval
        return Decode(sequences, max(turns, time.latency),
                      "latency" if time.latency >= turns else time.binds)

    def as_dict(self, sequences: Sequence[int]) -> dict[str, Any]:
        """Everything, for a file."""
        time = self.decode_time
        link, flits = time.busiest_link
        return {
            "machine": self.program.machine.name, "placement": self.program.placement,
            "prompt_tokens": self.prompt_tokens, "context": self.context,
            "stages": stage_rows(time),
            "interval_cycles": time.interval, "interval_binds": time.binds,
            "busiest_link": {"router": link[0], "port": link[1].name.lower(), "flits": flits},
            "latency_cycles": time.latency,
            "first_token_latency_cycles": self.first_token_latency,
            "prefill_cycles": self.prefill_cycles,
            "decode": [{
                "sequences": n, "round_cycles": self.decode(n).round_cycles,
                "cycles_per_token": self.decode(n).cycles_per_token,
                "binds": self.decode(n).binds} for n in sequences],
            "events_per_token": dict(sum(token_events(
                self.program, self._stages, time.token).values(), Counter())),
        }


def stage_rows(time: MachineTime) -> list[dict[str, Any]]:
    """One row for every stage; ``stage_time`` and ``binds`` are those of its core."""
    order = {walked.stage.info.name: n for n, walked in enumerate(time.walk.stages)}
    rows = [{
        "stage": stage.stage.info.name, "core": core.core, "array": stage.holds.array,
        "kv_writes": stage.holds.kv_write, "sfu": stage.holds.sfu, "send": stage.holds.send,
        "flits_in": stage.flits_in, "flits_out": stage.flits_out,
        "dispatch": stage.holds.dispatch, "slots": stage.slots, "stage_time": core.cycles,
        "binds": core.binds, "serial": stage.serial}
        for core in time.cores for stage in core.stages]
    return sorted(rows, key=lambda row: order[row["stage"]])
