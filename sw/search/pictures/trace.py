"""A mapping's schedule as a trace: open it in Perfetto (ui.perfetto.dev) or chrome://tracing."""

import json
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.write import write
from ouroboros.sw.search.evaluation.look import Look

__all__ = ["TRACE_MARK", "write_trace"]

TRACE_MARK = "ouroboros-schedule-1"
"""Mark of the files."""


def write_trace(seen: Look, path: Path) -> None:
    """A row for each chip, a slice for each layer; one microsecond shown is one cycle."""
    instance = seen.problem.instance
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 0, "tid": chip, "name": "thread_name",
         "args": {"name": f"chip {chip} ({instance.kinds[kind].type})"}}
        for chip, kind in enumerate(instance.chip_kind)]
    layers = instance.layers
    for node, chip in enumerate(seen.mapping.chips.reshape(-1).tolist()):
        events.append({
            "ph": "X", "pid": 0, "tid": chip, "name": seen.name(node),
            "cat": f"micro-batch {node // layers}", "ts": float(seen.start[node]),
            "dur": float(seen.end[node] - seen.start[node]),
            "args": {"dram_read_bytes": int(seen.read[node]),
                     "dram_written_bytes": int(seen.write[node]),
                     "chip_to_chip_bytes": int(seen.received[node])}})
    write(path, json.dumps({"otherData": {"schema": TRACE_MARK, "instance": instance.name,
                                          "unit": "1 us is 1 cycle"},
                            "traceEvents": events}) + "\n")
