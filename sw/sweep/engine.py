"""Points one after the other, or on the workers of a Dask cluster; each result kept at once.

What is kept is not run again, so that a sweep goes on where it was stopped. A worker that is lost
costs the points that it was at: the scheduler gives them to another one. A point that is refused
(an ``OuroborosError``) has a result that says so.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ouroboros.hw.params.load import ConfigError
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.sweep.errors import SweepError
from ouroboros.sw.sweep.point import Point
from ouroboros.sw.sweep.store import Store

__all__ = ["REFUSED", "Measure", "Progress", "run_points"]

Measure = Callable[[Point], dict[str, Any]]
"""Result of a point; a function of a module, which workers import by its name."""
Progress = Callable[[int, int], None]
"""Told how many points are done, of how many."""
REFUSED = "refused"
"""Key of a result that is a refusal: the sentence."""
ANSWER_S = 10
"""Seconds within which a scheduler must answer."""
LOST_MAX = 3
"""Workers that one point may have killed before it is given up."""
HERE, LOCAL, REMOTE = "here", "local", "dask://"


def run_points(kind: str, points: Sequence[Point], measure: Measure, store: Store, *,
               on: str = HERE, workers: int = 2, progress: Progress = lambda done, total: None,
               say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Results in the order of points.

    Parameters
    ----------
    kind : str
        What ``measure`` is, for the digest.
    on : str
        ``here``: in this process; ``local``: a cluster of ``workers`` processes; ``dask://HOST``:
        a scheduler that runs.
    say : callable
        Told where the cluster's own page is.

    Raises
    ------
    SweepError
        If the place is unknown, Dask is missing, a scheduler does not answer, or a point has killed
        ``LOST_MAX`` workers.
    FileError
        If a result cannot be kept.
    """
    found = [store.get(kind, point) for point in points]
    missing = [n for n, one in enumerate(found) if one is None]
    done = len(points) - len(missing)
    progress(done, len(points))
    if not missing:
        return [one for one in found if one is not None]
    with _results(measure, [points[n] for n in missing], on, workers, say) as results:
        for index, result in results:
            n = missing[index]
            store.put(kind, points[n], result)
            found[n] = store.get(kind, points[n])       # as it would be read another time
            done += 1
            progress(done, len(points))
    return [one for one in found if one is not None]


def guarded(measure: Measure, point: Point) -> dict[str, Any]:
    """A result, or the sentence that refuses it."""
    try:
        return measure(point)
    except (OuroborosError, ConfigError) as error:
        return {REFUSED: str(error)}


@contextlib.contextmanager
def _results(measure: Measure, points: Sequence[Point], on: str, workers: int,
             say: Callable[[str], None]) -> Iterator[Iterator[tuple[int, dict[str, Any]]]]:
    """Index and result of every point, as they come."""
    if on == HERE:
        yield ((n, guarded(measure, point)) for n, point in enumerate(points))
        return
    if on != LOCAL and not (on.startswith(REMOTE) and on.removeprefix(REMOTE)):
        raise SweepError(f"on must be {HERE}, {LOCAL} or {REMOTE}HOST[:PORT], not {on!r}")
    try:
        import distributed
    except ImportError:
        raise SweepError(f"on must be {HERE} where Dask is not installed, not {on!r}: install the "
                         "project with its extra 'sweep'") from None
    with _client(distributed, on, workers) as client:
        say(f"dashboard: {client.dashboard_link}")
        futures = {client.submit(guarded, measure, point, pure=False, retries=0): n
                   for n, point in enumerate(points)}

        def results() -> Iterator[tuple[int, dict[str, Any]]]:
            for future in distributed.as_completed(futures):  # type: ignore[no-untyped-call]
                try:
                    yield futures[future], future.result()
                except distributed.KilledWorker as error:
                    raise SweepError(f"point {dict(points[futures[future]])} must not kill its "
                                     f"worker, but {LOST_MAX + 1} died of it: give them more "
                                     "memory") from error

        yield results()


@contextlib.contextmanager
def _client(distributed: Any, on: str, workers: int) -> Iterator[Any]:
    """A client of a cluster of its own, or of one that runs."""
    import dask

    quiet = {"distributed.scheduler.allowed-failures": LOST_MAX, "distributed.logging": {
        "distributed": "critical"}}
    with dask.config.set(quiet):
        if on == LOCAL:
            with distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True,
                    dashboard_address="127.0.0.1:0", silence_logs="CRITICAL") as cluster, \
                    distributed.Client(cluster) as client:
                yield client
            return
        where = on.removeprefix(REMOTE)
        where = where if ":" in where else f"{where}:8786"
        try:
            client = distributed.Client(f"tcp://{where}", timeout=ANSWER_S)
        except OSError as error:
            raise SweepError(f"scheduler {where} must answer within {ANSWER_S} s, but did not: "
                             "start one by 'dask scheduler', and workers by 'dask worker "
                             f"{where}'") from error
        with client:
            yield client
