"""The schedule in which layers share links and DRAM: who starts first is served first.

A link and the DRAM keep a time at which they are free. Layers start in order of their start times,
those of equal times by chip; a layer's transfer on a link begins when both layer and link are
ready, and the layer ends with its arithmetic and its last transfer. Ref: ``docs/search.md``.
"""

from typing import Any

import numpy as np

from ouroboros.sw.lib.compiled import compiled
from ouroboros.sw.search.evaluation.shares import shares
from ouroboros.sw.search.evaluation.tables import KEY_BITS, Tables
from ouroboros.sw.search.evaluation.work import AFTER, END, HELD, READ, SOURCE, WAITS, WRITE, Work
from ouroboros.sw.search.problem.layers import NONE
from ouroboros.sw.search.problem.mapping import Chips

__all__ = ["LATE", "contend"]

LATE = 1 << 62
"""Later than any time."""
CHIP = (1 << KEY_BITS) - 1
U: Any = np.uint64
S: Any = np.int64


@compiled
def contend(t: Tables, w: Work, chips: Chips, dram_bytes: int, limit: int) -> Any:
    """Time units until the last layer ends; ``LATE`` as soon as that is beyond ``limit``."""
    # Locals, because an array that is read from a tuple counts as one more user of it each time.
    row_of, whole_of, single_of, sizes, kind_of = t.row, t.whole, t.single, t.sizes, t.kind
    bytes_of, costs, tail = t.bytes, t.cost, t.tail
    column_of, line_of, read_share = t.mesh.x, t.mesh.y, t.mesh.read_share
    write_start, write_link, write_share = t.mesh.write_start, t.mesh.write_link, t.mesh.write_share
    rows, upright, link_units, dram_units = t.mesh.rows, t.mesh.upright, t.link_units, t.dram_units
    node, holders, head, load, free = w.node, w.holders, w.head, w.load, w.free
    stage_end, stage_left, stage_waits = w.stage_end, w.stage_left, w.stage_waits
    chip_free, key, chip_waits, todo = w.chip_free, w.key, w.chip_waits, w.todo
    known, ways, share = w.known, w.ways, w.share
    nodes, count = chips.size, head.size
    flat, tall = upright // 2, rows - 1
    dram_left = dram_bytes * dram_units
    if dram_left > limit:
        return LATE
    waiting = 0
    for c in range(count):
        if load[c] > limit:
            return LATE
        chip_free[c] = 0
        key[c] = LATE
        todo[c] = c
        waiting += 1
    for n in range(nodes):
        node[n, END] = -1
        node[n, WAITS] = NONE
    for g in range(sizes.size):
        stage_left[g] = sizes[g]
        stage_end[g] = 0
        stage_waits[g] = NONE
    free[:] = 0
    latest = dram_free = S(0)
    for _ in range(nodes):
        # Chips whose next node may be able to start, or has to wait for what it reads.
        while waiting > 0:
            waiting -= 1
            c = U(todo[waiting])
            if head[c] == NONE:
                continue
            n = U(head[c])
            start = chip_free[c]
            if single_of[n] != NONE:
                p = U(single_of[n])
                if node[p, END] < 0:
                    chip_waits[c] = node[p, WAITS]
                    node[p, WAITS] = S(c)
                    continue
                start = max(start, node[p, END])
            if whole_of[n] != NONE:
                g = U(whole_of[n])
                if stage_left[g] != 0:
                    chip_waits[c] = stage_waits[g]
                    stage_waits[g] = S(c)
                    continue
                start = max(start, stage_end[g])
            key[c] = (start << KEY_BITS) | S(c)
        earliest = S(LATE)
        for i in range(count):
            earliest = min(earliest, key[i])
        start = earliest >> KEY_BITS
        c = U(earliest & CHIP)
        n = U(head[c])
        r = U(row_of[n])
        k = U(kind_of[c])
        read, write = node[n, READ], node[n, WRITE]
        ready = start + costs[r, k, 0]
        if read + write > 0:
            taken = (read + write) * dram_units
            dram_left -= taken
            dram_free = max(start, dram_free) + taken
            ready = max(ready, dram_free)
            if dram_free + dram_left > limit:
                return LATE
        x, y = column_of[c], line_of[c]
        first, column = U(x * rows), U(upright + x * 2 * tall + y)
        # A link without a load may count as busy until now: no layer starts before now.
        if node[n, SOURCE] == NONE and (whole_of[n] == NONE or node[n, HELD] == 0):
            if read > 0:
                unit = read * link_units
                busy = S(0)
                for i in range(U(flat)):
                    until = max(free[first + i], start) + unit
                    free[first + i] = until
                    busy = max(busy, until)
                for i in range(U(tall)):
                    until = max(free[column + i], start) + unit * read_share[U(y), i]
                    free[column + i] = until
                    busy = max(busy, until)
                ready = max(ready, busy)
        else:
            shares(node, holders, known, ways, share, bytes_of, read_share, column_of, line_of,
                   whole_of, n, c, r, costs[r, k, 1], link_units, rows, flat, tall)
            busy = S(0)
            for i in range(U(flat)):
                until = max(free[first + i], start) + share[i]
                free[first + i] = until
                busy = max(busy, until if share[i] > 0 else 0)
            for i in range(U(tall)):
                until = max(free[column + i], start) + share[U(flat) + i]
                free[column + i] = until
                busy = max(busy, until if share[U(flat) + i] > 0 else 0)
            ready = max(ready, busy)
        if write > 0:
            unit = write * link_units
            for i in range(U(write_start[c]), U(write_start[c + U(1)])):
                link = U(write_link[i])
                until = max(free[link], start) + unit * write_share[i]
                free[link] = until
                ready = max(ready, until)
        load[c] -= costs[r, k, 0]
        if ready + max(load[c], tail[r]) > limit:
            return LATE
        latest = max(latest, ready)
        node[n, END] = ready
        chip_free[c] = ready
        key[c] = LATE
        head[c] = node[n, AFTER]
        todo[0] = S(c)
        waiting = 1
        waits = node[n, WAITS]
        while waits != NONE:
            todo[waiting] = waits
            waiting += 1
            waits = chip_waits[U(waits)]
        stage_end[r] = max(stage_end[r], ready)
        stage_left[r] -= 1
        if stage_left[r] == 0:
            waits = stage_waits[r]
            while waits != NONE:
                todo[waiting] = waits
                waiting += 1
                waits = chip_waits[U(waits)]
    return latest
