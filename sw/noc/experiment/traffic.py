"""Traffic, bit for bit as generators in hardware make it.

Each node has a 64-bit xorshift state that steps once per cycle, used or not. From the new state:
bits 0..23 below ``threshold`` make a packet, bits 24..43 choose a uniform destination, bits 44..59
the length. Sinks have a state of their own for stalls (bits 0..23). Ref: Marsaglia, Xorshift RNGs,
2003 (13, 7, 17); seeds are spread by splitmix64 (Steele et al., OOPSLA 2014).
"""

from collections.abc import Iterator

from ouroboros.sw.noc.experiment.options import LabOptions, TracePacket

__all__ = ["destination_table", "flow_vc", "generate", "seed_state", "step", "threshold"]

WORD = (1 << 64) - 1


def seed_state(seed: int, node: int, sink: bool = False) -> int:
    """State of a node's generator (or its sink's stalls) before the first cycle; never 0."""
    z = ((seed << 32 | node << 1 | sink) + 1) * 0x9E3779B97F4A7C15 & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31 or 1


def step(state: int) -> int:
    """State after one cycle."""
    state ^= state << 13 & WORD
    state ^= state >> 7
    return (state ^ state << 17) & WORD


def threshold(probability: float) -> int:
    """What 24 random bits must be below to be true with ``probability``; 2**24 is always."""
    return round(probability * 2**24)


def flow_vc(source: int, destination: int, vcs: int) -> int:
    """Virtual channel of every packet of an ordered flow."""
    return (source + destination) % vcs


def destination_table(options: LabOptions) -> list[int]:
    """Destination of each node; -1 where it is drawn for each packet (uniform)."""
    pattern, nodes = options.traffic.pattern, options.mesh.cores
    ids, width, height = range(nodes), options.mesh.width, options.mesh.height
    if pattern == "transpose":
        return [n % width * width + n // width for n in ids]
    if pattern == "bitcomp":
        return [nodes - 1 - n for n in ids]
    if pattern == "neighbor":
        return [(n % width + 1) % width + width * ((n // width + 1) % height) for n in ids]
    if pattern == "hotspot":
        return [options.hotspot_node] * nodes
    return [-1] * nodes


def generate(options: LabOptions, cycles: int) -> Iterator[TracePacket]:
    """Packets of the first ``cycles`` cycles, by cycle and node: the reference of all others."""
    traffic, nodes = options.traffic, options.mesh.cores
    if traffic.pattern == "trace":
        yield from (packet for packet in traffic.trace if packet.cycle < cycles)
        return
    states = [seed_state(options.seed, node) for node in range(nodes)]
    table = destination_table(options)
    limit = threshold(traffic.rate / traffic.packet_flits)
    lengths = traffic.packet_max - traffic.packet_min + 1
    for cycle in range(cycles):
        for node in range(nodes):
            states[node] = state = step(states[node])
            if state & 0xFFFFFF < limit:
                drawn = (state >> 24 & 0xFFFFF) * nodes >> 20
                yield TracePacket(
                    cycle=cycle, source=node,
                    destination=drawn if table[node] < 0 else table[node],
                    flits=traffic.packet_min + ((state >> 44 & 0xFFFF) * lengths >> 16))
