"""Cycles of SFU instructions, as ``hw.sfu.sfu.Sfu`` takes them."""

from ouroboros.hw.params.isa import Fn, MMode, Track
from ouroboros.hw.params.machine import Machine

PIPELINE_CYCLES = 6
"""Cycles from the fetch of a beat to the write of its D word (and ``done``)."""
TRACK_CYCLES = 2
"""Cycles from the last D word to the C word."""
SCALAR_CYCLES = 7
"""Cycles of RSQRT and RECIP from acceptance to ``done``."""


def sfu_beats(machine: Machine, length: int) -> int:
    """Beats of a vector; an empty one still takes one to pass through."""
    return max(1, -(-length // machine.core.lanes))


def reads_c(fn: int, m_mode: int) -> bool:
    """Whether the instruction reads word C before its vector."""
    return fn in (Fn.EXP, Fn.RSQRT, Fn.RECIP) or m_mode == MMode.SCALAR


def writes_c(fn: int, track: int) -> bool:
    """Whether the instruction writes word C after its vector."""
    return fn == Fn.EXP or (fn not in (Fn.RSQRT, Fn.RECIP) and track != Track.NONE)


def sfu_cycles(machine: Machine, fn: int, length: int, *, m_mode: int = MMode.UNITY,
               track: int = Track.NONE) -> int:
    """Cycles from the acceptance of an instruction to ``done``.

    ``done`` is valid in the cycle of the last write, so a reader that starts one cycle later sees
    it. Cycles in which the drain stream has no beat come on top.
    """
    if fn in (Fn.RSQRT, Fn.RECIP):
        return SCALAR_CYCLES
    return (sfu_beats(machine, length) + PIPELINE_CYCLES + reads_c(fn, m_mode)
            + TRACK_CYCLES * writes_c(fn, track))


def sfu_occupancy(machine: Machine, fn: int, length: int, *, m_mode: int = MMode.UNITY,
                  track: int = Track.NONE) -> int:
    """Cycles from the acceptance of an instruction to that of the next, if one waits.

    Instructions overlap: the next is accepted once the vector is fetched, before ``done``.
    """
    if fn in (Fn.RSQRT, Fn.RECIP):
        return 2
    return (1 + reads_c(fn, m_mode) + sfu_beats(machine, length) + writes_c(fn, track))
