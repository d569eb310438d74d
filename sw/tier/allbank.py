"""How much of the banks' bandwidth activations and refresh leave, by scheduling a stream of rows.

A stand-in for the controller's own measurement: rows are read whole, in order, by commands issued
as early as the timings allow, one a clock. Banks open in sets; a set does the same at once.
"""

from ouroboros.sw.tier.technology import Technology

__all__ = ["efficiency"]

NEVER = -(1 << 40)
ROWS = 400


def efficiency(technology: Technology, sets: int) -> float:
    """Bytes read over what the banks' beats allow.

    Parameters
    ----------
    technology : Technology
        Timings.
    sets : int
        1: all banks in lockstep; as many as there are banks: each by itself.
    """
    t = {name: int(technology.of(name)) for name in (
        "banks", "bank_groups", "rcd", "rp", "ras", "rc", "rrd_s", "rrd_l", "faw", "ccd_l", "rtp",
        "rfc", "refi")}
    beats = int(technology.of("row_bytes") // technology.of("beat_bytes"))
    taken: set[int] = set()
    ready, opened = [0] * t["banks"], [NEVER] * t["banks"]
    group_at, opens = [NEVER] * t["bank_groups"], [NEVER] * 4
    idle, beat_at = [0] * sets, [NEVER] * sets
    refresh, ends = t["refi"], 0
    for _ in range(ROWS):
        if min(idle) >= refresh:
            free = max(max(ready), max(idle) + t["rp"]) + t["rfc"]
            ready, refresh = [free] * t["banks"], refresh + t["refi"]
        for one in range(sets):
            last = 0
            for bank in range(one, t["banks"], sets):
                group = bank % t["bank_groups"]
                at = max(ready[bank], opened[bank] + t["rc"], opens[-1] + t["rrd_s"],
                         group_at[group] + t["rrd_l"], opens[-4] + t["faw"], idle[one])
                while at in taken:
                    at += 1
                taken.add(at)
                opens = [*opens[-3:], at]
                opened[bank] = group_at[group] = last = at
            first = max(last + t["rcd"], beat_at[one] + t["ccd_l"])
            beat_at[one] = first + (beats - 1) * t["ccd_l"]
            idle[one] = max(beat_at[one] + t["rtp"], last + t["ras"])
            for bank in range(one, t["banks"], sets):
                ready[bank] = idle[one] + t["rp"]
            ends = max(ends, idle[one])
    return ROWS * beats * t["ccd_l"] / ends
