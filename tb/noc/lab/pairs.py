"""The experiment that measures every pair of an empty mesh."""

from dataclasses import replace

from ouroboros.sw.noc.experiment.options import LabOptions, TracePacket

__all__ = ["all_pairs"]

GAP_CYCLES = 10
"""Between two packets of a source: more than the longest takes."""


def all_pairs(options: LabOptions) -> LabOptions:
    """The same mesh with a trace of one packet for each pair, of which none meets another.

    Lengths are 1 to 9 flits, in turn.
    """
    nodes = options.nodes
    crossings = (options.width + options.height) * (options.die_latency_cycles + 3) * bool(
        options.die_width or options.die_height)
    per_source = nodes * GAP_CYCLES + 2 * (options.width + options.height) + 20 + crossings
    return replace(
        options, traffic="trace", warmup_cycles=0, measure_cycles=nodes * per_source,
        trace=tuple(TracePacket(cycle=source * per_source + n * GAP_CYCLES, source=source,
                                destination=n, flits=1 + (source + n) % 9)
                    for source in range(nodes) for n in range(nodes)))
