"""A played load as a picture: every request over time, and what the machine held."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ouroboros.sw.lib.write import replaced
from ouroboros.sw.replay.load import ReplayError
from ouroboros.sw.replay.played import Played

__all__ = ["PICTURE_MARK", "SUFFIXES", "draw"]

PICTURE_MARK = "ouroboros serve-trace"
"""In the first bytes of every picture."""
SUFFIXES = (".svg", ".png")
"""Endings of their names."""
PARTS = (("waits", "#c9ced6"), ("prompt", "#eb6834"), ("decode", "#2a78d6"))


def draw(played: Played, path: Path) -> None:
    """SVG or PNG by the name.

    Raises
    ------
    ReplayError
        If the load was played on the model, which keeps no such record.
    """
    result = played.result
    if result is None or result.held is None:
        raise ReplayError("a picture is of a machine's run: give --on golden or a simulator")
    matplotlib.rcParams["svg.hashsalt"] = "ouroboros"
    figure = Figure(figsize=(11, 3.5 + 0.12 * min(len(result.requests), 60)),
                    layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for n, request in enumerate(result.requests):
        times = [request.arrival, request.admitted, *request.token_times[:1],
                 *request.token_times[-1:]]
        for (name, colour), begin, end in zip(PARTS, times, times[1:], strict=False):
            if begin is not None and end is not None:
                top.barh(n, end - begin, left=begin, height=0.8, color=colour,
                         label=name if not n else None)
    top.invert_yaxis()
    top.set_ylabel("request")
    top.legend(fontsize=8, loc="lower left")
    samples = result.held.samples
    times = [sample.time for sample in samples]
    for name, key in (("reserved", "reserved"), ("with tokens in them", "filled")):
        bottom.step(times, [getattr(sample, key) for sample in samples], where="post", label=name)
    bottom.set_ylabel("KV blocks")
    bottom.set_xlabel(f"{played.tick}s")
    bottom.legend(fontsize=8)
    bottom.grid(alpha=0.3)
    metadata = ({"Date": None, "Title": PICTURE_MARK} if path.suffix == ".svg"
                else {"Title": PICTURE_MARK})
    with replaced(path) as aside:
        figure.savefig(aside, format=path.suffix[1:], metadata=metadata, dpi=110)
