"""Cycles of attention in a rank of memory with processing units, as its controller takes them.

Clocks of the command bus. ``tb/pim`` asserts them of the RTL, within 2 %.
"""

from collections.abc import Sequence

from ouroboros.hw.params.dram import FAW_ACTIVATES
from ouroboros.hw.params.pim import PimParams

__all__ = ["PHASE_CYCLES", "WEIGHTS_CYCLES", "activate_span", "attention_cycles", "efficiency",
           "phase_cycles", "row_cycles", "tail_cycles"]

PHASE_CYCLES = 10
"""From the last MAC of a phase until the next phase may open rows."""
WEIGHTS_CYCLES = 16
"""From the arrival of the last scores to the first weights on the bus."""
GIVE_CYCLES = 4
"""From the last sums to the first word of context."""


def activate_span(pim: PimParams) -> int:
    """From the first to the last activate, if a row of every bank is opened."""
    t, times = pim.timing, [0]
    for bank in range(1, pim.banks):
        earliest = [times[-1] + t.rrd_s]
        if bank >= pim.groups:
            earliest.append(times[bank - pim.groups] + t.rrd_l)
        if bank >= FAW_ACTIVATES:
            earliest.append(times[bank - FAW_ACTIVATES] + t.faw)
        times.append(max(earliest))
    return times[-1]


def _turn(pim: PimParams, staggered: bool) -> int:
    """From a bank's last MAC in a row to its first in the next one."""
    t = pim.timing
    closed = t.rtp + t.rp + t.rcd
    # Staggered, MACs of all banks share one beat.
    return -(-closed // t.ccd_l) * t.ccd_l if staggered else closed + activate_span(pim)


def row_cycles(pim: PimParams, macs: int, *, staggered: bool = False) -> int:
    """From the first MAC of a row to that of the next one, with so many MACs in it."""
    t, span = pim.timing, 0 if staggered else activate_span(pim)
    return max((macs - 1) * t.ccd_l + _turn(pim, staggered), t.rc + span,
               t.ras + t.rp + t.rcd + span if not staggered else 0)


def _refresh_share(pim: PimParams, staggered: bool) -> float:
    """Part of the time in which no bank works for refreshes; staggered, banks wait for the last.

    Rows are closed anyhow: a refresh is put where they turn round.
    """
    t, batch = pim.timing, pim.refresh_batch
    lost = batch * t.rfc + (activate_span(pim) if staggered else 0)
    return lost / (batch * t.refi)


def efficiency(pim: PimParams, *, staggered: bool = False) -> float:
    """Part of the time in which a bank multiplies, of what ``ccd_l`` allows: whole rows, for ever.

    16 banks of DDR4-3200: 0.825 in lockstep, 0.904 staggered.
    """
    macs = pim.columns
    return (macs * pim.timing.ccd_l / row_cycles(pim, macs, staggered=staggered)
            * (1 - _refresh_share(pim, staggered)))


def phase_cycles(pim: PimParams, macs: int, *, staggered: bool = False) -> float:
    """From the first MAC of a phase of so many to the end of its last one, with refreshes."""
    rows, left = divmod(macs, pim.columns)
    sizes = [pim.columns] * rows + [left] * (left > 0)
    whole = sum(row_cycles(pim, size, staggered=staggered) for size in sizes[:-1])
    return (whole + sizes[-1] * pim.timing.ccd_l) / (1 - _refresh_share(pim, staggered))


def tail_cycles(pim: PimParams) -> int:
    """From the last MAC of a head's sums to the last word of its context."""
    words = pim.query_bursts * 4
    return (PHASE_CYCLES + pim.sum_bursts * pim.timing.ccd_s + pim.timing.read_data + GIVE_CYCLES
            + words)


def attention_cycles(pim: PimParams, tokens: Sequence[int], *, staggered: bool = False,
                     passes: int = 1) -> float:
    """Heads of so many tokens, one after the other, ``slots`` at once in each: from the first
    query to the last word of context.

    Scores of a head come before the sums of the head before it; a phase is as long as its MACs, or
    its bursts, whichever is longer. With two ``passes`` over V the sums are read in between.
    """
    t = pim.timing
    span = activate_span(pim)
    # The first query comes from the host, by re-layout and bus, while rows are opened.
    query = 2 * (pim.head_dim // pim.head_chips) + t.write_data + PHASE_CYCLES
    if pim.queries > 1:
        query += (pim.queries - 1) * (pim.head_dim // pim.head_chips)
    total = float(max(query, (0 if staggered else span) + t.rcd))
    turn = max(t.rtp + t.rp, PHASE_CYCLES + (span if staggered else 0)) + t.rcd + (
        0 if staggered else span)
    # From the last MAC of sums to the first of other sums: not before all of them are read.
    sums_turn = max(turn, PHASE_CYCLES + pim.sum_bursts * t.ccd_s + t.read_data + WEIGHTS_CYCLES
                    + t.write_data)
    chain = PHASE_CYCLES + t.read_data + WEIGHTS_CYCLES + t.write_data

    def scores(count: int) -> float:
        units = pim.score_units(count)
        banks = phase_cycles(pim, units * pim.score_unit_macs, staggered=staggered)
        return max(banks, units * pim.score_unit_bursts * t.ccd_s)

    def sums(count: int) -> float:
        units = pim.value_units(count)
        banks = phase_cycles(pim, units * pim.value_unit_macs, staggered=staggered)
        one = max(banks, units * pim.value_unit_bursts * t.ccd_s)
        return passes * one + (passes - 1) * sums_turn

    last = len(tokens) - 1
    for number, count in enumerate(tokens):
        total += (turn if number else 0) + scores(count)
        if number:
            total += max(turn, chain if number == last else turn) + sums(tokens[number - 1])
    # Two heads' sums in a row: the second waits until the first are read.
    after = tail_cycles(pim) + WEIGHTS_CYCLES + t.write_data if last else chain
    return total + max(turn, after) + sums(tokens[-1]) + tail_cycles(pim)
