"""A played load as a trace: open it in Perfetto (ui.perfetto.dev) or chrome://tracing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.write import write
from ouroboros.sw.replay.load import ReplayError
from ouroboros.sw.replay.played import Played

__all__ = ["TRACE_MARK", "process", "slice_", "thread", "write_trace"]

TRACE_MARK = "ouroboros-serve-1"
"""Mark of the files."""
COUNTERS = {"sequences": ("alive", "waiting"), "KV blocks": ("reserved", "filled"),
            "tokens under way": ("flying",)}
"""Tracks of counters and what of a sample they show."""


def process(number: int, name: str) -> dict[str, Any]:
    """Event that names a process."""
    return {"ph": "M", "pid": number, "name": "process_name", "args": {"name": name}}


def thread(of: int, number: int, name: str) -> dict[str, Any]:
    """Event that names a thread of a process."""
    return {"ph": "M", "pid": of, "tid": number, "name": "thread_name", "args": {"name": name}}


def slice_(of: int, number: int, name: str, begin: int, ticks: int,
           args: Mapping[str, Any]) -> dict[str, Any]:
    """Event that lasts, on a thread of a process."""
    return {"ph": "X", "pid": of, "tid": number, "name": name, "ts": begin, "dur": ticks,
            "args": dict(args)}


def write_trace(played: Played, path: Path) -> None:
    """A row for each request (waits, prompt, decode), counters; a microsecond shown is a tick.

    Raises
    ------
    ReplayError
        If the load was played on the model, which keeps no such record.
    """
    result = played.result
    if result is None or result.held is None:
        raise ReplayError("a trace is of a machine's run: give --on golden or a simulator")
    events = [process(0, "requests"), process(1, f"machine, {played.on}")]
    for n, request in enumerate(result.requests):
        events.append(thread(0, n, f"request {n}"))
        times = [request.arrival, request.admitted, *request.token_times[:1],
                 *request.token_times[-1:]]
        names = ("waits", "prompt", "decode")
        for name, begin, end in zip(names, times, times[1:], strict=False):
            if begin is not None and end is not None and end > begin:
                events.append(slice_(0, n, name, begin, end - begin, {
                    "prompt_tokens": request.prompt_tokens, "generated": request.generated,
                    "finished": request.finished, "preemptions": request.preemptions}))
    for sample in result.held.samples:
        events += [{"ph": "C", "pid": 1, "name": name, "ts": sample.time,
                    "args": {key: getattr(sample, key) for key in keys}}
                   for name, keys in COUNTERS.items()]
    write(path, json.dumps({"otherData": {"schema": TRACE_MARK, "trace": played.load.name,
                                          "unit": f"1 us is 1 {played.tick}"},
                            "traceEvents": events}) + "\n")
