"""Transactions for Perfetto (ui.perfetto.dev) or chrome://tracing; a microsecond is a cycle."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.write import write
from ouroboros.sw.replay.perfetto import process, slice_, thread
from ouroboros.tb.waves.transactions import Transaction
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["TIMELINE_MARK", "write_timeline"]

TIMELINE_MARK = "ouroboros-transactions-1"


def write_timeline(wave: WaveFile, found: Sequence[Transaction], path: Path) -> None:
    """A process for each core, a thread for each of its tracks."""
    events: list[dict[str, Any]] = []
    tracks: dict[tuple[int, str], int] = {}
    for n, core in enumerate(wave.cores):
        names = sorted({stage.name for stage in wave.about.stages if stage.core == core})
        events.append(process(n, f"core {core[0]},{core[1]} {' '.join(names)}".rstrip()))
    for one in found:
        number = wave.cores.index(one.core)
        if (number, one.track) not in tracks:
            tracks[number, one.track] = len(tracks)
            events.append(thread(number, tracks[number, one.track], one.track))
        events.append(slice_(number, tracks[number, one.track], one.text, one.first,
                             one.last + 1 - one.first, {"kind": one.kind, **one.args}))
    write(path, json.dumps({"otherData": {"schema": TIMELINE_MARK, "unit": "1 us is 1 cycle"},
                            "traceEvents": events}) + "\n")
