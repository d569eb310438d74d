"""Options of commands that can record waves."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.errors import FileError
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.lib.write import check_output
from ouroboros.sw.runtime.waves import (
    SUFFIXES,
    Waves,
    WavesError,
    description,
    parse_cores,
    parse_window,
)

__all__ = ["WAVES_MARK", "WithWaves"]

WAVES_MARK = "ouroboros-waves-1"
"""Mark of the description that lies beside a file of waves."""


@dataclass(frozen=True, kw_only=True)
class WithWaves(Options):
    """What a simulator records."""

    waves: Path | None = option(None, metavar="FILE.fst|FILE.vcd")
    """Record waves; views for GTKWave and Surfer and a trace of transactions go to FILE.views."""
    waves_window: str = option("", metavar="FROM:TO|token N|stage NAME")
    """Record these cycles of the simulation, or while the Nth token that is sent (from 0) is in the
    machine, or the cores of a stage while the first token is; by default all the time."""
    waves_cores: str = option("", metavar="X,Y;X,Y;..")
    """Record these cores, each with its router; by default all that hold a stage."""

    def recorded(self) -> Waves | None:
        """What is to be recorded; None: nothing.

        Raises
        ------
        OuroborosError
            If it is not a window, not cores, or a file that cannot be written.
        """
        if self.waves is None:
            for name in ("waves_window", "waves_cores"):
                if getattr(self, name):
                    raise WavesError(f"{name} must be given with the file of the waves: --waves "
                                     "FILE.fst")
            return None
        if self.waves.suffix not in SUFFIXES:
            raise FileError(f"{self.waves}: name must end in {' or '.join(SUFFIXES)}")
        beside = description(self.waves)
        if self.waves.exists() and not beside.exists():
            raise FileError(f"{self.waves}: must be a new file, or one that this command wrote "
                            "before: remove it or name another")
        if not self.waves.parent.is_dir():
            raise FileError(f"{self.waves}: folder {str(self.waves.parent)!r} must exist")
        if beside.exists():
            check_output(beside, WAVES_MARK)
        return Waves(path=self.waves, window=parse_window(self.waves_window),
                     cores=parse_cores(self.waves_cores))
