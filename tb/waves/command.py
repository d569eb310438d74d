"""``ouroboros wave``: questions about a file of waves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.cli.command import Output, command
from ouroboros.sw.lib.options import Options, option
from ouroboros.tb.waves.query import ask, overview
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["WaveOptions", "wave"]


@dataclass(frozen=True, kw_only=True)
class WaveOptions(Options):
    """A file, and what is asked."""

    file: Path = option(placed=True, metavar="FILE")
    """Waves that --waves wrote."""
    query: tuple[str, ...] = option((), metavar="TEXT")
    """core X,Y (what it did), packet SEQUENCE:POSITION (where it went), stage NAME (why it waited),
    credits [X,Y], signals X,Y [TEXT], values X,Y SIGNAL; a window FROM:TO may follow; may be
    repeated."""


@command(WaveOptions)
def wave(options: WaveOptions, output: Output) -> dict[str, Any]:
    """Ask a file of waves; without a question, say what it holds."""
    found = WaveFile(options.file)
    answers = {text: ask(found, text) for text in options.query}
    for lines in answers.values() if answers else (overview(found),):
        for line in lines:
            output.say(line)
    return {"file": str(options.file), "cycles": [found.first, found.last],
            "cores": [list(core) for core in found.cores], "answers": answers}
