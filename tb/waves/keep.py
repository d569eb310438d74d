"""Takes the waves of a run to where they were wanted, with all that lies beside them."""

import shutil
from pathlib import Path

from ouroboros.sw.runtime.job import Job
from ouroboros.sw.runtime.waves import WavesError, views
from ouroboros.tb.waves.about import about, write_about
from ouroboros.tb.waves.views import write_views
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["keep"]


def keep(job: Job, directory: Path, noted: Path) -> tuple[Path, tuple[int, int]]:
    """Move the file of a run; its path and the cycles that it holds.

    Parameters
    ----------
    job : Job
        What was recorded.
    directory : Path
        Folder of the run.
    noted : Path
        What the bench wrote: cycles in which recording began, ended, and that of the end.

    Raises
    ------
    WavesError
        If the window lies outside the run.
    """
    waves = job.waves
    lines = noted.read_text().split("\n") if noted.exists() else []
    cycles = [int(line) for line in lines if line.isdigit()]
    ends = [int(line.split()[1]) for line in lines if line.startswith("end ")]
    found = directory / f"waves{waves.path.suffix}"
    window = waves.window
    if not cycles or not found.exists():
        until = f", which ended in cycle {ends[0]:,}" if ends else ""
        what = (f"cycles {window.first}:{'' if window.last is None else window.last}"
                if window.token is None else f"token {window.token}")
        raise WavesError(f"waves_window must lie inside the run{until}; {what} is not there")
    shutil.move(found, waves.path)
    last = cycles[1] - 1 if len(cycles) > 1 else max([*ends, cycles[0] + 2]) - 1
    # The switch is thrown in a cycle; the next is the first that is whole.
    window = cycles[0] + 1, last
    views(waves.path).mkdir(exist_ok=True)
    write_about(waves.path, about(job.program, waves.cores, window))
    write_views(WaveFile(waves.path))
    return waves.path, window
