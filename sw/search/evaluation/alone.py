"""The schedule as published: every layer has links and DRAM for itself."""

from typing import Any

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.evaluation.contend import LATE
from ouroboros.sw.search.evaluation.shares import shares
from ouroboros.sw.search.evaluation.tables import Tables
from ouroboros.sw.search.evaluation.work import END, HELD, READ, SOURCE, WRITE, Work
from ouroboros.sw.search.problem.layers import NONE
from ouroboros.sw.search.problem.mapping import Chips

__all__ = ["alone"]

U: Any = np.uint64
S: Any = np.int64


@compiled
def alone(t: Tables, w: Work, chips: Chips, limit: int) -> Any:
    """Time units until the last layer ends; ``LATE`` as soon as that is beyond ``limit``."""
    row_of, whole_of, single_of, kind_of = t.row, t.whole, t.single, t.kind
    bytes_of, costs, tail = t.bytes, t.cost, t.tail
    column_of, line_of, read_share = t.mesh.x, t.mesh.y, t.mesh.read_share
    write_start, write_share = t.mesh.write_start, t.mesh.write_share
    rows, link_units, dram_units = t.mesh.rows, t.link_units, t.dram_units
    node, holders, order = w.node, w.holders, w.order
    stage_end, chip_free, known, ways, share = w.stage_end, w.chip_free, w.known, w.ways, w.share
    flat, tall = t.mesh.upright // 2, rows - 1
    chip_free[:] = 0
    stage_end[:] = 0
    latest = S(0)
    for position in range(order.size):
        n = U(order[position])
        r = U(row_of[n])
        c = U(chips[n])
        k = U(kind_of[c])
        read, write = node[n, READ], node[n, WRITE]
        start = chip_free[c]
        if single_of[n] != NONE:
            start = max(start, node[U(single_of[n]), END])
        if whole_of[n] != NONE:
            start = max(start, stage_end[U(whole_of[n])])
        busy = max(costs[r, k, 0], (read + write) * dram_units)
        if node[n, SOURCE] == NONE and (whole_of[n] == NONE or node[n, HELD] == 0):
            unit = read * link_units
            if flat > 0:
                busy = max(busy, unit)
            for i in range(U(tall)):
                busy = max(busy, unit * read_share[U(line_of[c]), i])
        else:
            shares(node, holders, known, ways, share, bytes_of, read_share, column_of, line_of,
                   whole_of, n, c, r, costs[r, k, 1], link_units, rows, flat, tall)
            for i in range(U(flat + tall)):
                busy = max(busy, share[i])
        for i in range(U(write_start[c]), U(write_start[c + U(1)])):
            busy = max(busy, write * link_units * write_share[i])
        ready = start + busy
        if ready + tail[r] > limit:
            return LATE
        node[n, END] = ready
        chip_free[c] = ready
        stage_end[r] = max(stage_end[r], ready)
        latest = max(latest, ready)
    return latest
