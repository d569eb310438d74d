"""Options of an experiment on the network."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import PATTERNS, LabOptions
from ouroboros.sw.noc.experiment.trace import read_trace

__all__ = ["lab_options", "mesh_options", "span"]

Command = TypeVar("Command", bound=Callable[..., Any])


def span(option: str, text: str, sign: str, form: str) -> tuple[int, int]:
    """Two whole numbers around ``sign``, or one for both."""
    first, found, last = text.partition(sign)
    try:
        return int(first), int(last if found else first)
    except ValueError:
        raise NocError(f"{option} must be {form}, not {text!r}") from None


def mesh_options(*, depth: int, flit_bits: int) -> Callable[[Command], Command]:
    """Options of mesh and routers; the command gets ``mesh``, arguments of ``LabOptions``.

    Parameters
    ----------
    depth, flit_bits : int
        Defaults.
    """
    return _with((
        click.option("--k", default=8, show_default=True, metavar="N",
                     help="Nodes per row and rows."),
        click.option("--mesh", "size", metavar="WxH", help="Instead of --k: nodes per row, rows."),
        click.option("--vcs", default=2, show_default=True, metavar="N",
                     help="Virtual channels of class 0."),
        click.option("--class1-vcs", default=1, show_default=True, metavar="N",
                     help="Those of class 1, from a waypoint on."),
        click.option("--class2-vcs", default=2, show_default=True, metavar="N",
                     help="Those of class 2, by tables; 0 or 2 (RTL only)."),
        click.option("--depth", default=depth, show_default=True, metavar="FLITS",
                     help="Buffer of a virtual channel."),
        click.option("--labels", default=128, show_default=True, metavar="N",
                     help="Multicast labels of a router."),
        click.option("--die", metavar="WxH", help="Nodes of one die."),
        click.option("--die-latency", default=20, show_default=True, metavar="CYCLES",
                     help="Cycles on the wire between dies."),
        click.option("--die-cycles", default=1, show_default=True, metavar="N",
                     help="Cycles for which a flit occupies that wire."),
        click.option("--flit-bits", default=flit_bits, show_default=True, metavar="N",
                     help="Width of a flit (RTL only)."),
    ), "mesh", _mesh)


def _mesh(*, k: int, size: str | None, vcs: int, class1_vcs: int, class2_vcs: int, depth: int,
          labels: int, die: str | None, die_latency: int, die_cycles: int,
          flit_bits: int) -> dict[str, int]:
    width, height = span("--mesh", size, "x", "WxH") if size else (k, k)
    die_width, die_height = span("--die", die, "x", "WxH") if die else (0, 0)
    return {"width": width, "height": height, "vcs": vcs, "class1_vcs": class1_vcs,
            "class2_vcs": class2_vcs, "depth": depth, "labels": labels, "die_width": die_width,
            "die_height": die_height, "die_latency_cycles": die_latency,
            "die_cycles_per_flit": die_cycles, "flit_bits": flit_bits}


_TRAFFIC = (
    click.option("--traffic", default="uniform", show_default=True,
                 type=click.Choice(PATTERNS), help="Pattern."),
    click.option("--packet", default="4", show_default=True, metavar="N[-M]",
                 help="Flits of a packet, header included."),
    click.option("--ordered", is_flag=True, help="Every flow keeps one virtual channel."),
    click.option("--seed", default=1, show_default=True, metavar="N", help="Of all randomness."),
    click.option("--warmup", default=1000, show_default=True, metavar="CYCLES",
                 help="Cycles before those that count."),
    click.option("--measure", default=4000, show_default=True, metavar="CYCLES",
                 help="Cycles that count."),
    click.option("--drain", default=20000, show_default=True, metavar="CYCLES",
                 help="Longest wait for packets made in these; 0: accepted load only."),
    click.option("--stall", default=0.0, show_default=True, metavar="P",
                 help="Probability that a sink gives no credits in a cycle."),
    click.option("--hotspot", default=-1, metavar="NODE",
                 help="Destination of hotspot, x + width * y; the middle if not given."),
    click.option("--trace", "trace_path", type=click.Path(path_type=Path, dir_okay=False),
                 metavar="FILE", help="CSV for trace: cycle, source, destination, flits and, if "
                                      "wanted, way and targets."),
)


def _traffic(*, traffic: str, packet: str, ordered: bool, seed: int, warmup: int, measure: int,
             drain: int, stall: float, hotspot: int, trace_path: Path | None) -> dict[str, Any]:
    if (traffic == "trace") != (trace_path is not None):
        raise NocError("--trace FILE must be given with --traffic trace, and only then")
    shortest, longest = span("--packet", packet, "-", "N or N-M")
    return {"traffic": traffic, "packet_min": shortest, "packet_max": longest, "rate": 0.0,
            "ordered": ordered, "seed": seed, "warmup_cycles": warmup, "measure_cycles": measure,
            "drain_cycles": drain, "stall": stall, "hotspot": hotspot,
            "trace": read_trace(trace_path) if trace_path else ()}


def lab_options(command: Command) -> Command:
    """Options that describe an experiment but for its rate; the command gets ``options``."""

    @functools.wraps(command)
    def with_options(*, mesh: dict[str, Any], traffic: dict[str, Any], **others: Any) -> Any:
        return command(options=LabOptions(**mesh, **traffic), **others)

    with_traffic = _with(_TRAFFIC, "traffic", _traffic)(with_options)
    return cast(Command, mesh_options(depth=4, flit_bits=256)(with_traffic))


def _with(options: Sequence[Callable[[Any], Any]], name: str,
          gather: Callable[..., Any]) -> Callable[[Command], Command]:
    """Decorator: the command gets what ``gather`` makes of the options, as ``name``."""
    names = inspect.signature(gather).parameters

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_options(**values: Any) -> Any:
            mine = {key: values.pop(key) for key in names}
            return command(**{name: gather(**mine)}, **values)

        found: Any = with_options
        for option in reversed(options):
            found = option(found)
        return cast(Command, found)

    return decorate
