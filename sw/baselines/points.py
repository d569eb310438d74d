"""Measured throughputs, published or a user's own: what was run, and how fast it was."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.baselines.batching import serve_batches
from ouroboros.sw.baselines.devices import Devices
from ouroboros.sw.baselines.traffic import TOKENS_MAX, Traffic, chat, equal
from ouroboros.sw.lib.csv_file import read_rows
from ouroboros.sw.models.shape import load_shape

__all__ = ["COLUMNS", "KINDS", "Point", "predicted", "read_points"]

KINDS = ("static", "requests")
"""static: ``batch`` clients, each asks again for the same lengths; requests: lengths of a chat with
these means, ``batch`` at once."""
ROUNDS = 3
"""Requests of each client of a static point, if there are several."""
REQUESTS = 3000
COLUMNS = ("kind", "model", "batch", "tensor_parallel", "input_tokens", "output_tokens",
           "tokens_per_s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One measurement."""

    kind: str
    """Of ``KINDS``."""
    model: str
    """Shape, by name or file."""
    batch: int
    """Sequences at once."""
    tensor_parallel: int
    """Devices of the replica that was measured."""
    input_tokens: float
    """Of a prompt; the mean, of requests."""
    output_tokens: float
    """Generated; likewise."""
    tokens_per_s: float
    """Generated tokens per second of the replica."""
    source: str
    """Where it is published."""

    @property
    def traffic(self) -> Traffic:
        """What the replica was given."""
        if self.kind == "requests":
            return chat(REQUESTS, self.input_tokens, self.output_tokens)
        return equal(self.batch * (ROUNDS if self.batch > 1 else 1), int(self.input_tokens),
                     int(self.output_tokens))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {name: getattr(self, name) for name in (*COLUMNS, "source")}


def predicted(devices: Devices, point: Point) -> float:
    """Generated tokens per second that the model of a system gives for a measurement."""
    shape, traffic = load_shape(point.model), point.traffic
    over = devices.cut(shape, point.tensor_parallel)
    run = serve_batches(traffic, devices.step_times(shape, over),
                        devices.rules(shape, over, point.batch))
    return float(traffic.output_tokens.sum() / run.finish_s.max())


def read_points(path: Path) -> tuple[Point, ...]:
    """A CSV file with the columns of ``COLUMNS``.

    Raises
    ------
    FileError
        If it is no such file; the message names file, line and column.
    """
    found = []
    for row in read_rows(path, COLUMNS):
        if row.cells["kind"] not in KINDS:
            raise row.refuse("kind", f"one of {', '.join(KINDS)}")
        found.append(Point(
            kind=row.cells["kind"], model=row.cells["model"], source=row.where,
            batch=row.whole("batch", 1, 1 << 20),
            tensor_parallel=row.whole("tensor_parallel", 1, 64),
            input_tokens=row.number("input_tokens", 1, TOKENS_MAX),
            output_tokens=row.number("output_tokens", 1, TOKENS_MAX),
            tokens_per_s=row.number("tokens_per_s", 1e-6, 1e9)))
    return tuple(found)
