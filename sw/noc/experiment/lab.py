"""Who runs experiments: the cycle model, or RTL under a simulator, found by entry point."""

from collections.abc import Callable
from importlib.metadata import entry_points

from ouroboros.sw.noc.cycle import model as cycle_model
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import LabOptions
from ouroboros.sw.noc.experiment.result import Report

__all__ = ["Run", "runner"]

Run = Callable[[LabOptions], Report]
_ENTRY_POINTS = "ouroboros.noc"


def runner(name: str) -> Run:
    """``model``, or an entry point of the group ``ouroboros.noc`` (``verilator``, ``icarus``).

    Raises
    ------
    NocError
        If there is no such one, or it cannot be loaded.
    """
    if name == "model":
        return cycle_model.run
    for entry in entry_points(group=_ENTRY_POINTS, name=name):
        try:
            found: Run = entry.load()
        except (ImportError, AttributeError) as error:
            raise NocError(f"{name} cannot be loaded: {error}") from error
        return found
    known = sorted({"model"} | {entry.name for entry in entry_points(group=_ENTRY_POINTS)})
    raise NocError(f"--on must be one of {', '.join(known)}, not {name!r}")
