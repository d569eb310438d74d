"""Transactions as a VCD of texts, which GTKWave and Surfer show as they are."""

import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from vcd import VCDWriter

from ouroboros.sw.lib.write import write
from ouroboros.tb.waves.record import PERIOD_PS
from ouroboros.tb.waves.stage import SLOTS
from ouroboros.tb.waves.transactions import Transaction
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["write_text_trace"]


def write_text_trace(wave: WaveFile, found: Sequence[Transaction], path: Path) -> None:
    """A variable for each track of each core, and one for each of its state machines and slots."""
    changes: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for one in found:
        at = changes[f"core_{one.core[0]}_{one.core[1]}", one.track.replace(" ", "_")]
        at[one.first] = one.text
        at.setdefault(one.last + 1, "")
    for core in wave.cores:
        scope = f"core_{core[0]}_{core[1]}"
        for name, values in wave.about.names.items():
            if wave.has(core, name) and (name.endswith("fsm_state") or name.startswith(SLOTS)):
                short = name.removeprefix("core.").replace(".", "_").replace("$", "_")
                changes[scope, short] = {
                    cycle: values.get(value, "?") if value is not None else "?"
                    for cycle, value in wave.signal(core, name).changes(wave.first, wave.last)}
    text = io.StringIO()
    with VCDWriter(text, timescale="1 ps", date="", version="ouroboros wave") as writer:
        variables = {key: writer.register_var(*key, "string", size=1, init="") for key in changes}
        events = sorted((cycle, key, word) for key, words in changes.items()
                        for cycle, word in words.items())
        for cycle, key, word in events:
            writer.change(variables[key], cycle * PERIOD_PS, word.replace(" ", "_"))
    write(path, text.getvalue())
