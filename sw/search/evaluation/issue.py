"""The pass over a mapping in list order: who still holds what, and the bytes that follow from it.

For each segment, for each micro-batch, for each layer: a chip holds the output of its last layer,
and its weights. Where a chip gets another layer while readers of its last output are still to
come, that output is written to DRAM.
"""

from typing import Any

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.evaluation.tables import Tables
from ouroboros.sw.search.evaluation.work import AFTER, HELD, READ, SOURCE, WORD, WRITE, Work
from ouroboros.sw.search.problem.layers import NONE
from ouroboros.sw.search.problem.mapping import Chips, Cuts

__all__ = ["issue"]

U: Any = np.uint64
S: Any = np.int64
ONE = np.uint64(1)


@compiled
def issue(t: Tables, w: Work, cuts: Cuts, chips: Chips) -> tuple[float, int]:
    """Bytes, holders and order of every node into ``w``; energy in pJ, bytes to and from DRAM.

    Parameters
    ----------
    cuts : array
        1 where a segment ends after a layer, ``(layers - 1,)``.
    chips : array
        Chip of each node, ``(nodes,)``.
    """
    # Locals, because an array that is read from a tuple counts as one more user of it each time.
    row_of, whole_of, single_of, last_reader = t.row, t.whole, t.single, t.last_reader
    sizes, kind_of, bytes_of, costs, energies = t.sizes, t.kind, t.bytes, t.cost, t.energy
    column_of, line_of, port_hops = t.mesh.x, t.mesh.y, t.mesh.port_hops
    columns = t.mesh.columns
    node, holders, order, head, load, last = w.node, w.holders, w.order, w.head, w.load, w.last
    reached, mask, count, distance = w.reached, w.mask, w.counted, w.distance
    layers, words, lines = last_reader.size, mask.shape[1], distance.shape[1]
    for k in range(last.size):
        last[k] = NONE
        head[k] = NONE
        load[k] = 0
    mask[:] = 0
    count[:] = 0
    reached[:] = NONE
    energy = 0.0
    byte_hops = dram = to_ports = S(0)
    issued = low = 0
    while low < layers:
        high = low
        while high < layers - 1 and cuts[high] == 0:
            high += 1
        high += 1
        for batch in range(reached.size):
            base = batch * layers
            for layer in range(low, high):
                n = U(base + layer)
                c = U(chips[n])
                r = U(row_of[n])
                k = U(kind_of[c])
                order[issued] = base + layer
                issued += 1
                times = costs[r, k, 1]
                read = bytes_of[r, 1] + bytes_of[r, 3] * times
                node[n, AFTER] = NONE
                node[n, SOURCE] = NONE
                if whole_of[n] != NONE:
                    g = U(whole_of[n])
                    held = S(count[g, lines])
                    hops = np.int32(0)
                    for i in range(lines):
                        hops += count[g, i] * distance[c, i]
                    for i in range(words):
                        holders[n, i] = mask[g, i]
                    node[n, HELD] = held
                    each = bytes_of[r, 4] * times
                    read += each * (sizes[g] - held)
                    byte_hops += each * hops
                if single_of[n] != NONE:
                    p = U(single_of[n])
                    s = U(chips[p])
                    one = bytes_of[r, 5] * times
                    if last[s] == S(p) and costs[U(row_of[p]), U(kind_of[s]), 4] != 0:
                        if s != c:
                            node[n, SOURCE] = S(s)
                            byte_hops += one * (abs(column_of[s] - column_of[c])
                                                + abs(line_of[s] - line_of[c]))
                    else:
                        read += one
                reached[batch] = layer
                before = last[c]
                again = False
                if before == NONE:
                    head[c] = S(n)
                else:
                    m = U(before)
                    node[m, AFTER] = S(n)
                    b = before // layers
                    old = before - b * layers
                    again = old == layer and costs[r, k, 3] != 0
                    q = U(row_of[m])
                    if costs[q, k, 4] != 0:
                        mask[q, c // U(WORD)] &= ~(ONE << (c % U(WORD)))
                        count[q, U(column_of[c])] -= 1
                        count[q, U(columns + line_of[c])] -= 1
                        count[q, lines] -= 1
                        if last_reader[old] > reached[b]:
                            node[m, WRITE] += bytes_of[q, 6]
                            dram += bytes_of[q, 6]
                            to_ports += bytes_of[q, 6] * port_hops[c]
                if not again:
                    read += bytes_of[r, 0] * costs[r, k, 2]
                write = bytes_of[r, 2]
                if costs[r, k, 4] != 0:
                    mask[r, c // U(WORD)] |= ONE << (c % U(WORD))
                    count[r, U(column_of[c])] += 1
                    count[r, U(columns + line_of[c])] += 1
                    count[r, lines] += 1
                    if bytes_of[r, 7] != 0:
                        write += bytes_of[r, 6]
                elif last_reader[layer] > layer or bytes_of[r, 7] != 0:
                    write += bytes_of[r, 6]
                node[n, READ] = read
                node[n, WRITE] = write
                last[c] = S(n)
                load[c] += costs[r, k, 0]
                dram += read + write
                to_ports += (read + write) * port_hops[c]
                energy += energies[r, k]
        low = high
    energy += t.e_hop * (byte_hops + to_ports / (2 * t.mesh.rows)) + t.e_dram * dram
    return energy, dram
