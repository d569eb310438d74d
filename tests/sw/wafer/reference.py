"""The recurrence of ``sw.wafer.chain`` in plain Python, as its equations have it."""


def through(chain, arrivals, contexts):
    """When each token leaves the chain, and when it entered every cell: two lists."""
    ends, entries = [], []
    taken = [[] for _ in chain.windows]
    starts = [[] for _ in chain.cells]
    for k, (arrival, context) in enumerate(zip(arrivals, contexts, strict=True)):
        x = int(arrival)
        mine = []
        for s, cell in enumerate(chain.cells):
            for n, window in enumerate(chain.windows):
                if window.first == s and k >= window.slots:
                    x = max(x, taken[n][k - window.slots])
            if k:
                x = max(x, starts[s][-1] + chain.hold_of(cell, contexts[k - 1]))
            starts[s].append(x)
            mine.append(x)
            x += cell.way + (int(chain.way_at[context]) if cell.context else 0)
            for n, window in enumerate(chain.windows):
                if window.last == s:
                    taken[n].append(x + window.back)
        ends.append(x)
        entries.append(mine)
    return ends, entries
