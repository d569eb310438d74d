"""What every mapping has to pay for a layer on a chip, whatever else runs where.

An output that no buffer holds goes through DRAM; of a stage with more tiles than chips that can
hold one, the rest does; a chip holds one output, so all other inputs come over its links.
"""

from dataclasses import dataclass

import numpy as np

from ouroboros.sw.search.evaluation.tables import Floats, Problem
from ouroboros.sw.search.problem.layers import NONE, Ints

__all__ = ["Forced", "forced"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Forced:
    """By row (stage of a micro-batch) and chip, ``(rows, chips)``, unless said otherwise."""

    cycles: Floats
    """Of a tile that has the machine for itself."""
    dram: Floats
    """Bytes of a tile to and from DRAM, at least."""
    energy: Floats
    """Of a tile, pJ."""
    loads: Ints
    """1 where a tile loads its weights even if the chip had the same layer before."""
    weights: Floats
    """Bytes of a tile's weights as often as they are read, ``(stages,)``; the least."""
    more_energy: float
    """pJ that is paid in any case, besides."""
    more_dram: float
    """Bytes to and from DRAM, likewise."""


def forced(problem: Problem) -> Forced:
    """Of an instance."""
    t, instance = problem.tables, problem.instance
    mesh, chips, ports = t.mesh, instance.chips, 2 * instance.grid[1]
    kinds = t.kind
    tiles, stages = t.sizes, problem.stages
    cost, fixed = t.cost[:, kinds], t.bytes[:, None, :]     # by row and chip
    holds = cost[:, :, 4] != 0
    hop, dram_byte = t.e_hop, t.e_dram + t.e_hop * mesh.port_hops / ports
    whole, single = _reads(problem)
    times = cost[:, :, 1]
    read = (fixed[:, :, 1] + fixed[:, :, 3] * times).astype(np.float64)
    near, inbound = np.zeros(read.shape), np.zeros(read.shape)
    more_energy = more_dram = 0.0
    away = np.sort(abs(mesh.x[:, None] - mesh.x) + abs(mesh.y[:, None] - mesh.y), axis=1)
    cheapest = np.minimum(away * hop, dram_byte[:, None])     # of the n-th nearest chip's byte
    for row in range(read.shape[0]):
        if whole[row] != NONE:
            q = whole[row]
            each = fixed[row, :, 4] * times[row]
            held = int(min(tiles[q], holds[q].sum()))
            read[row] += each * (tiles[q] - held)
            near[row] += each * cheapest[:, :held].sum(1)
            inbound[row] += each * max(held - 1, 0)
            if holds[q].all() and tiles[q] > held:
                more_dram += float(t.bytes[q, 6] * (tiles[q] - held))
                more_energy += float(t.bytes[q, 6] * (tiles[q] - held) * dram_byte.min())
        if single[row] != NONE:
            q = single[row]
            each = fixed[row, :, 5] * times[row]
            if not holds[q].any():
                read[row] += each
            elif tiles[q] == 1 and tiles[row] > 1:
                # The chip that holds it loses it to the first reader that it runs.
                more_energy += float((tiles[row] - 1) * each.min() * min(hop, dram_byte.min()))
    weights = t.bytes[:, 0][:, None] * cost[:, :, 2]
    loads = ((weights > 0) & (cost[:, :, 3] == 0)).astype(np.int64)
    read += weights * loads
    has_reader = np.array([problem.layers.last_reader[layer] != NONE
                           for layer in problem.layers.first])
    written = ~holds & np.tile(has_reader, problem.batches)[:, None] | (fixed[:, :, 7] != 0)
    write = fixed[:, :, 2] + fixed[:, :, 6] * written
    # As in the schedule: shares of the busiest link, in bytes.
    up = mesh.read_share.max(1, initial=0)[mesh.y]
    read_link = np.maximum(up, 1 if mesh.columns > 1 else 0) / ports
    write_link = np.array([mesh.write_share[mesh.write_start[c]:mesh.write_start[c + 1]].max(
        initial=0) for c in range(chips)]) / ports
    ways = (mesh.x > 0).astype(int) + (mesh.x < mesh.columns - 1) + (mesh.y > 0) + (
        mesh.y < mesh.rows - 1)
    at_port = np.where((mesh.x == 0) | (mesh.x == mesh.columns - 1),
                       (1 + (mesh.columns == 1)) / ports, 0.0)
    entering = (inbound + read) * (1 - at_port) / np.maximum(ways, 1)
    busiest = np.maximum(np.maximum(read * read_link, write * write_link), entering)
    bandwidth = instance.dram_channels * instance.dram_bw
    return Forced(
        cycles=np.maximum(np.maximum(cost[:, :, 0] / problem.units, busiest / instance.link_bw),
                          (read + write) / bandwidth),
        dram=read + write, loads=loads,
        energy=t.energy[:, kinds] + (read + write) * dram_byte + near,
        weights=weights.min(1).reshape(-1, stages).min(0).astype(np.float64),
        more_energy=more_energy, more_dram=more_dram)


def _reads(problem: Problem) -> tuple[Ints, Ints]:
    """Row that each row reads as a whole, and the row of the single layer that it reads."""
    first, layers = problem.layers.first, problem.layers
    shift = np.repeat(np.arange(problem.batches) * problem.stages, problem.stages)
    whole = np.tile(layers.whole[first], problem.batches)
    single = layers.single[first]
    single = np.tile(np.where(single == NONE, NONE, layers.stage[single]), problem.batches)
    return np.where(whole == NONE, NONE, whole + shift), np.where(single == NONE, NONE,
                                                                  single + shift)
