"""Blocks that were mapped before: kept in the cache folder, since the large ones take minutes."""

import dataclasses
import hashlib
import json
import tempfile
from pathlib import Path

from ouroboros.sw.lib.folders import cache_folder
from ouroboros.tb.ppa.blocks import Block
from ouroboros.tb.ppa.library import CellLibrary, program, said
from ouroboros.tb.ppa.synthesis import Mapped, Memory, map_block
from ouroboros.tb.ppa.timing import Timing, analyse

__all__ = ["map_and_time"]

PROGRAMS = {"yosys": "-V", "sta": "-version"}
OWN = ("synthesis.py", "timing.py")
"""Files of this folder that change what comes out."""


def map_and_time(block: Block, library: CellLibrary, activity: float, memory_ns: float,
                 limit_s: float) -> tuple[Mapped, Timing]:
    """Map and time a block, unless the same one was; as ``map_block`` and ``analyse``."""
    here = Path(__file__).parent
    key = hashlib.sha256(json.dumps([
        block.name, block.sources, library.path.read_text(), activity, memory_ns,
        [said([program(name), option], here, 60) for name, option in PROGRAMS.items()],
        [(here / name).read_text() for name in OWN]]).encode()).hexdigest()[:24]
    kept = cache_folder("ppa") / f"{block.name}-{key}.json"
    if kept.exists():
        found = json.loads(kept.read_text())
        memories = tuple(Memory(**one) for one in found["mapped"].pop("memories"))
        return Mapped(**found["mapped"], memories=memories), Timing(**found["timing"])
    with tempfile.TemporaryDirectory(prefix="ouroboros-ppa-") as name:
        mapped = map_block(block.name, block.sources, library, Path(name), limit_s)
        timing = analyse(mapped, library, activity, memory_ns, Path(name))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"mapped": dataclasses.asdict(mapped),
                                "timing": dataclasses.asdict(timing)}))
    return mapped, timing
