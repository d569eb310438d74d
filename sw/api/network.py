"""Options of experiments on the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.api.catalogue import simulators
from ouroboros.sw.lib.options import Options, option, part_of
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import LabOptions, experiment
from ouroboros.sw.noc.experiment.trace import read_trace
from ouroboros.sw.noc.study.booksim import COLUMNS, PIPELINES
from ouroboros.sw.noc.study.curves import auto_rates
from ouroboros.sw.noc.study.plot import MARK, SUFFIXES

__all__ = ["CompareOptions", "MeshOptions", "OneOptions", "SaturationOptions", "SweepOptions",
           "TrafficOptions", "span"]

WINDOW = ("seed", "stall", "warmup_cycles", "measure_cycles", "drain_cycles")
FLAGS = {"vc_depth": "--depth", "die_latency_cycles": "--die-latency",
         "die_cycles_per_flit": "--die-cycles", "pattern": "--traffic",
         "warmup_cycles": "--warmup", "measure_cycles": "--measure", "drain_cycles": "--drain"}


def span(option: str, text: str, sign: str, form: str) -> tuple[int, int]:
    """Two whole numbers around ``sign``, or one for both."""
    first, found, last = text.partition(sign)
    try:
        return int(first), int(last if found else first)
    except ValueError:
        raise NocError(f"{option} must be {form}, not {text!r}") from None


@dataclass(frozen=True, kw_only=True)
class MeshOptions(Options):
    """Routers and their mesh."""

    k: int = option(8, metavar="N")
    """Nodes per row and rows."""
    mesh: str | None = option(None, metavar="WxH")
    """Instead of --k: nodes per row, rows."""
    die: str | None = option(None, metavar="WxH")
    """Nodes of one die."""
    noc: Mapping[str, Any] = part_of(
        LabOptions, under=("noc",), skip=("multicast_flits", "parity", "faults"), flags=FLAGS)
    """The routers, by the names of ``NocParams``."""

    def experiment(self, **others: Any) -> LabOptions:
        """The experiment, with other values of ``experiment``."""
        width, height = span("--mesh", self.mesh, "x", "WxH") if self.mesh else (self.k, self.k)
        die_width, die_height = span("--die", self.die, "x", "WxH") if self.die else (0, 0)
        return experiment(width=width, height=height, die_width=die_width, die_height=die_height,
                          **{**self.noc, **others})


@dataclass(frozen=True, kw_only=True)
class TrafficOptions(MeshOptions):
    """Routers, their mesh and its traffic, but for the rate."""

    packet: str = option("4", metavar="N[-M]")
    """Flits of a packet, header included."""
    trace: Path | None = option(None)
    """CSV for trace: cycle, source, destination, flits and, if wanted, way and targets."""
    traffic: Mapping[str, Any] = part_of(
        LabOptions, under=("traffic", *WINDOW), flags=FLAGS,
        skip=("packet_min", "packet_max", "rate", "trace"))
    """The traffic and what is looked at, by the names of ``Traffic`` and ``LabOptions``."""

    def experiment(self, **others: Any) -> LabOptions:
        """The experiment, at no load unless a rate is given."""
        traced = self.traffic.get("pattern") == "trace"
        if traced != (self.trace is not None):
            raise NocError("--trace FILE must be given with --traffic trace, and only then")
        shortest, longest = span("--packet", self.packet, "-", "N or N-M")
        return super().experiment(**{
            "rate": 0.0, **self.traffic, "packet_min": shortest, "packet_max": longest,
            "trace": read_trace(self.trace) if self.trace else (), **others})


def simulator_names() -> tuple[str, ...]:
    """What runs an experiment."""
    return tuple(simulators())


@dataclass(frozen=True, kw_only=True)
class OneOptions(TrafficOptions):
    """One experiment."""

    rate: float = option(0.2, metavar="F")
    """Offered flits per node and cycle."""
    on: str = option("model", choices=simulator_names)
    """The cycle model, or a simulator of the RTL."""


@dataclass(frozen=True, kw_only=True)
class SaturationOptions(TrafficOptions):
    """An experiment whose saturation is searched."""

    on: str = option("model", choices=simulator_names)
    """The cycle model, or a simulator of the RTL."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions(TrafficOptions):
    """A load curve."""

    rates: str = option("auto", metavar="LIST")
    """Offered loads with commas between; auto: 0.05 to 0.9 of the channel-load bound."""
    overload: bool = True
    """Also offered load 1, three seeds, for throughput."""
    on: tuple[str, ...] = option(("model",), choices=simulator_names)
    """The cycle model, or a simulator of the RTL; may be repeated."""
    csv: Path | None = option(None, written=True, mark=",".join(COLUMNS))
    """Write all points with the columns of BookSim2's tables."""
    plot: Path | None = option(None, written=True, mark=MARK, suffixes=SUFFIXES)
    """Draw the curves, .svg or .png."""
    reference: Path | None = option(None)
    """BookSim2's table (CSV)."""

    def parsed_rates(self, options: LabOptions) -> list[float]:
        """Offered loads of an experiment."""
        if self.rates == "auto":
            return auto_rates(options)
        try:
            return [float(part) for part in self.rates.split(",")]
        except ValueError:
            raise NocError(f"--rates must be auto or numbers with commas between, "
                           f"not {self.rates!r}") from None


@dataclass(frozen=True, kw_only=True)
class CompareOptions(TrafficOptions):
    """Two load curves."""

    on: str = option("model", choices=simulator_names)
    """What is judged."""
    against: str = option("verilator", choices=lambda: (*simulator_names(), "booksim"))
    """What it is held against."""
    pipeline: str = option("patched2", choices=lambda: tuple(PIPELINES))
    """Rows of BookSim2's table."""
    every: bool = False
    """All rows of that pipeline, not only those of the options."""
    reference: Path | None = option(None)
    """BookSim2's table (CSV)."""
