"""Re-layout, pipelining and rank-level units, one after the other, by length of context.

All times are over those of attention with re-layout by the host and without pipelining. In units
of what a token of context costs then: ``L + start + host``. Re-layout on the way in takes ``host``
away. Pipelining takes what the banks need beside the bus, from ``Organisation``. Rank-level units
read everything over the rank's bus.
"""

from dataclasses import dataclass

from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.tier.figures.bar import Bar, Bars, Group
from ouroboros.sw.tier.organisation import Organisation
from ouroboros.sw.tier.technology import Technology

__all__ = ["ablation_group"]

LENGTHS = (512, 1024, 2048, 4096, 8192)
FITTED_AT = 2
"""Index of the length whose bars constants are fitted to."""
KINDS = {"MHA": ("gpt-175b", 8, 8), "GQA": ("qwen2-72b", 8, 1)}
"""Model, chips of a head before, and after pipelining."""
BARS = "ablation_latency_vs_base"


@dataclass(frozen=True)
class _Kind:
    """Ratios that need no bar, and constants, in tokens of context, that do."""

    pipelined: float
    rank: float
    start: float = 0.0
    host: float = 0.0
    start_pipelined: float = 0.0

    def relayout(self, length: int) -> float:
        return (length + self.start) / (length + self.start + self.host)

    def pipeline(self, length: int) -> float:
        return (self.pipelined * length + self.start_pipelined) / (length + self.start + self.host)

    def ranks(self, length: int) -> float:
        return self.rank * length / (length + self.start + self.host)


def _ratios(technology: Technology, kind: str, efficiency: float) -> _Kind:
    name, before, after = KINDS[kind]
    shape = load_shape(name)

    def head(chips: int, *, pipelined: bool) -> float:
        return Organisation(technology=technology, shape=shape, chips_of_a_head=chips).head_s(
            efficiency, pipelined=pipelined)

    whole = head(before, pipelined=False)
    # A rank's unit has the rank's bus, at the same efficiency, and all the K and V to read.
    bus = technology.of("bus_gb_s") * 1e9 * efficiency
    return _Kind(pipelined=head(after, pipelined=True) / whole,
                 rank=2 * shape.head_dim * 2 / bus / whole)


def _fit(bars: Bars, kind: str, free: _Kind) -> _Kind:
    """Constants from three bars at one length."""
    length = LENGTHS[FITTED_AT]
    ranks, relayout, pipeline = (bars.number(BARS, kind, name, FITTED_AT)
                                 for name in ("R-DP", "relayout", "pipeline"))
    if ranks is None or relayout is None or pipeline is None:
        return free
    whole = free.rank * length / ranks
    start = relayout * whole - length
    return _Kind(pipelined=free.pipelined, rank=free.rank, start=start,
                 host=whole - length - start,
                 start_pipelined=pipeline * whole - free.pipelined * length)


def ablation_group(bars: Bars, technology: Technology, efficiency: float) -> Group:
    """Thirty bars: three steps, two kinds of heads, five lengths; six of them are fitted to."""
    found, words = [], []
    for kind in KINDS:
        one = _fit(bars, kind, _ratios(technology, kind, efficiency))
        words.append(f"{kind}: pipelined {one.pipelined:.3f} of unpipelined, rank level "
                     f"{one.rank / one.pipelined:.2f} of pipelined, both derived"
                     + (f"; fitted at {LENGTHS[FITTED_AT]:,}: host {one.host:.1f}, start "
                        f"{one.start:.1f} and {one.start_pipelined:.1f} tokens" if one.host else
                        "; without bars no time of the host's re-layout is known"))
        for name, ours in (("R-DP", one.ranks), ("relayout", one.relayout),
                           ("pipeline", one.pipeline)):
            for n, length in enumerate(LENGTHS):
                found.append(Bar(
                    name=f"{kind} {name} at {length:,}", ours=ours(length),
                    published=bars.number(BARS, kind, name, n),
                    status="derived" if bars.path is None else
                    "fitted" if n == FITTED_AT else "held out"))
    return Group(title="re-layout, pipelining, rank-level units: latency over the first design",
                 bars=tuple(found), most=0.03, words=tuple(words))
