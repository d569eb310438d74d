"""The experiment that measures every pair of an empty mesh."""

from dataclasses import replace

from ouroboros.hw.params.timing.network import crossing_cycles
from ouroboros.sw.noc.experiment.options import LabOptions, TracePacket

__all__ = ["all_pairs"]

GAP_CYCLES = 10
"""Between two packets of a source: more than the longest takes."""


def all_pairs(options: LabOptions) -> LabOptions:
    """The same mesh with a trace of one packet for each pair, of which none meets another.

    Lengths are 1 to 9 flits, in turn.
    """
    mesh, nodes = options.mesh, options.mesh.cores
    crossing = (mesh.die_width, mesh.die_height) != (mesh.width, mesh.height)
    longest = (mesh.width + mesh.height) * (
        2 + crossing * crossing_cycles(options.noc))
    per_source = nodes * GAP_CYCLES + longest + 20
    return replace(
        options, warmup_cycles=0, measure_cycles=nodes * per_source,
        traffic=replace(options.traffic, pattern="trace", trace=tuple(
            TracePacket(cycle=source * per_source + n * GAP_CYCLES, source=source,
                        destination=n, flits=1 + (source + n) % 9)
            for source in range(nodes) for n in range(nodes))))
