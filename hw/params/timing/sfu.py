"""Cycles of SFU instructions, as ``hw.sfu.sfu.Sfu`` takes them."""

from ouroboros.hw.params.isa import SCALAR_FUNCTIONS, Fn, MMode, Track
from ouroboros.hw.params.machine import Machine

PIPELINE_CYCLES = 6
"""Cycles from the fetch of a beat to the write of its D word (and ``done``)."""
TRACK_CYCLES = 2
"""Cycles from the last D word to the C word."""
SCALAR_CYCLES = 7
"""Cycles of the scalar functions from acceptance to ``done``."""
WORD_BEATS = 4
"""Beats that fill a word of int8."""


def sfu_beats(machine: Machine, length: int) -> int:
    """Beats of a vector; an empty one still takes one to pass through."""
    return max(1, -(-length // machine.core.lanes))


def fetch_cycles(machine: Machine, length: int, *, digits: int = 0) -> int:
    """Cycles from the first beat's fetch to the last one's, both included.

    With ``digits`` the beat after a whole word waits a cycle for the write of the second word.
    """
    beats = sfu_beats(machine, length)
    return beats + ((beats - 1) // WORD_BEATS if digits else 0)


def reads_c(fn: int, m_mode: int, *, less: int = 0) -> bool:
    """Whether the instruction reads word C before its vector."""
    return fn == Fn.EXP or fn in SCALAR_FUNCTIONS or m_mode == MMode.SCALAR or less != 0


def writes_c(fn: int, track: int) -> bool:
    """Whether the instruction writes word C after its vector."""
    return fn == Fn.EXP or (fn not in SCALAR_FUNCTIONS and track != Track.NONE)


def sfu_cycles(machine: Machine, fn: int, length: int, *, m_mode: int = MMode.UNITY,
               track: int = Track.NONE, less: int = 0, digits: int = 0) -> int:
    """Cycles from the acceptance of an instruction to ``done``.

    ``done`` is valid in the cycle of the last write, so a reader that starts one cycle later sees
    it. Cycles in which the drain stream has no beat come on top.
    """
    if fn in SCALAR_FUNCTIONS:
        return SCALAR_CYCLES
    last = TRACK_CYCLES if writes_c(fn, track) else int(digits != 0 and length > 0)
    return (fetch_cycles(machine, length, digits=digits) + PIPELINE_CYCLES
            + reads_c(fn, m_mode, less=less) + last)


def sfu_occupancy(machine: Machine, fn: int, length: int, *, m_mode: int = MMode.UNITY,
                  track: int = Track.NONE, less: int = 0, digits: int = 0) -> int:
    """Cycles from the acceptance of an instruction to that of the next, if one waits.

    Instructions overlap: the next is accepted once the vector is fetched, before ``done``.
    """
    if fn in SCALAR_FUNCTIONS:
        return 2
    return (1 + reads_c(fn, m_mode, less=less) + fetch_cycles(machine, length, digits=digits)
            + writes_c(fn, track))
