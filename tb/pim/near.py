"""Commands near the limits of a timing: some just in time, some a clock too early."""

import random
from collections.abc import Iterator
from dataclasses import replace

from ouroboros.hw.params.dram import DDR4_3200, DramTiming, Op

__all__ = ["SHORT", "near_limits"]

SHORT = replace(DDR4_3200, rfc=120, refi=500)
"""DDR4-3200 with refreshes so often that a bench sees many."""


def near_limits(rng: random.Random, timing: DramTiming, banks: int,
                count: int) -> Iterator[tuple[Op, int]]:
    """A command (or NOP) and its banks for each clock, with ``count`` commands in all.

    Bursts of commands to few banks, so that each meets the one that it must keep away from.
    """
    spans = sorted({timing.rcd, timing.rp, timing.ras, timing.rc - timing.ras, timing.rrd_s,
                    timing.rrd_l, timing.ccd_s, timing.ccd_l, timing.rtp, timing.read_to_write,
                    timing.write_data + timing.wr, timing.write_data + timing.wtr_s,
                    timing.write_data + timing.wtr_l, timing.rfc, timing.faw - 3 * timing.rrd_l})
    ops = [op for op in Op if op not in (Op.NOP, Op.REF)]
    while count > 0:
        few = rng.sample(range(banks), 2)
        if rng.random() < 0.2:
            # Rows of many banks at once.
            for bank in rng.sample(range(banks), min(6, banks)):
                yield Op.ACT, 1 << bank
                count -= 1
                for _ in range(timing.rrd_s - 1 + rng.randrange(4)):
                    yield Op.NOP, 0
        quiet = rng.random() < 0.02
        for _ in range(rng.randrange(3, 20)):
            op = Op.REF if rng.random() < 0.03 else rng.choice([*ops, Op.ACT, Op.PRE])
            mask = 1 << rng.choice(few)
            if op in (Op.PRE, Op.MAC) and rng.random() < 0.4:
                mask |= rng.getrandbits(banks)
            yield op, mask
            count -= 1
            wait = rng.choice(spans) - rng.randrange(3) if rng.random() < 0.7 else rng.randrange(4)
            for _ in range(max(0, wait)):
                yield Op.NOP, 0
        for _ in range(timing.refi * 10 if quiet else 0):
            yield Op.NOP, 0
