"""An experiment: points, and what their figures say beside the paper's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ouroboros.sw.experiments.wafer import measure as measure_module
from ouroboros.sw.experiments.wafer import traffic as traffic_module
from ouroboros.sw.experiments.wafer.measure import Place, measure
from ouroboros.sw.sweep.engine import REFUSED, Progress, run_points
from ouroboros.sw.sweep.store import Store

__all__ = ["Curve", "Experiment", "Figures", "Finding", "Picture", "Row", "kind", "refusal",
           "run_experiment"]

FAR = 0.15
"""A deviation above which a row must say which term explains it."""
Figures = Mapping[str, Mapping[str, Any]]
"""Result of each point by its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure beside the paper's."""

    what: str
    """Of what."""
    paper: float | None
    """None: the paper has none."""
    ours: float | None
    """None: refused."""
    why: str = ""
    """Why they differ; names the term that one can switch."""
    form: str = ".2f"
    """Format of both."""

    @property
    def far(self) -> bool:
        """Whether they are further apart than ``FAR``."""
        return (self.paper is not None and self.ours is not None
                and abs(self.ours / self.paper - 1) > FAR)

    def cells(self) -> tuple[str, str, str, str]:
        """For a table."""
        def shown(value: float | None) -> str:
            return "" if value is None else format(value, self.form)
        return self.what, shown(self.paper), shown(self.ours), self.why


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One series of a picture."""

    name: str
    """In the legend."""
    y: tuple[float, ...]
    """Values; one for each place of the picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Bars side by side, or lines."""

    title: str
    """What it shows."""
    x: tuple[str, ...]
    """Names of places."""
    x_title: str
    """What they are."""
    y_title: str
    """What values are, with the unit."""
    curves: tuple[Curve, ...]
    """Series."""
    lines: bool = False
    """Lines instead of bars."""
    log: bool = False
    """Logarithmic values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What came of an experiment."""

    rows: tuple[Row, ...]
    """Paper, ours, why."""
    picture: Picture
    """The same drawn."""
    words: str = ""
    """What to conclude."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {"rows": [asdict(row) | {"far": row.far} for row in self.rows],
                "picture": asdict(self.picture), "words": self.words}


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """One table and figure."""

    name: str
    """As it is asked for."""
    title: str
    """In a line."""
    places: Callable[[Sequence[Path]], Mapping[str, Place]]
    """Points by name; given the traces of the user, which most do not use."""
    find: Callable[[Figures], Finding]
    """From figures by name to rows and picture."""
    about: str = field(default="")
    """What is assumed by this experiment alone."""


def kind() -> str:
    """Kind of an experiment's points: it has a digest of what measures them."""
    digest = sha256()
    for module in (measure_module, traffic_module):
        digest.update(Path(module.__file__ or "").read_bytes())
    return f"experiment {digest.hexdigest()}"


def run_experiment(experiment: Experiment, store: Store, *, traces: Sequence[Path] = (),
                   on: str = "here", workers: int = 2,
                   progress: Progress = lambda done, total: None,
                   say: Callable[[str], None] = lambda text: None) -> Finding:
    """Run the points that have no result yet, and find.

    Raises
    ------
    OuroborosError
        If a place is refused, or a result cannot be kept.
    """
    places = experiment.places(traces)
    found = run_points(kind(), [place.point() for place in places.values()], measure, store, on=on,
                       workers=workers, progress=progress, say=say)
    return experiment.find(dict(zip(places, found, strict=True)))


def refusal(found: Mapping[str, Any]) -> str:
    """Why a point has no figure; empty: it has."""
    return str(found.get(REFUSED, ""))
