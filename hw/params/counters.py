"""Event counters of a core, read through ``Unit.COUNTER``; 48 bits each."""

from enum import IntEnum

COUNTER_BITS = 48
STAGE_STATES = ("busy", "waiting", "blocked")


class Counter(IntEnum):
    """Index of each counter; the three of stage s follow at ``stage_counter(s, state)``."""

    CYCLES = 0
    """Cycles since the last clear."""
    ARRAY_GROUP_CYCLES = 1
    """Sum over macros of cycles in which a row group was active."""
    ROW_WRITES = 2
    """Macro row writes by KV appends (V)."""
    BYTE_WRITES = 3
    """Macro byte writes by KV appends (K)."""
    KV_OPERATIONS = 4
    """APPEND, SCORE, CONTEXT and FREE instructions completed."""
    KV_FULL = 5
    """Appends refused because no block was free."""
    SFU_ELEMENTS = 6
    """Elements through the SFU."""
    FLITS_IN = 7
    """Flits ejected into the core."""
    FLITS_OUT = 8
    """Flits injected by the core."""
    FLIT_HOPS_DATA = 9
    """Flits sent by the router through its four mesh ports, data class."""
    FLIT_HOPS_CONTROL = 10
    """The same, other classes."""
    ERRORS = 11
    """Malformed, misaddressed or unexpected packets dropped."""
    ARRAY_BUSY_CYCLES = 12
    """Cycles in which the array unit had an instruction."""
    SFU_BUSY_CYCLES = 13
    """Cycles in which the SFU had an instruction."""
    SEND_BUSY_CYCLES = 14
    """Cycles in which the send unit had an instruction."""
    KV_BLOCKS = 15
    """KV blocks in use now: a level, which a clear leaves as it is."""
    STAGE0 = 16
    """First of the stage counters."""


def stage_counter(stage: int, state: str) -> int:
    """Index of the counter of ``stage`` for a state of ``STAGE_STATES``.

    busy: a token of the stage holds a unit or is being dispatched; else blocked: one lacks credits;
    else waiting: one lacks operands.
    """
    return Counter.STAGE0 + 3 * stage + STAGE_STATES.index(state)


def counter_count(stages: int) -> int:
    """Number of counter addresses of a core with ``stages`` stages."""
    return Counter.STAGE0 + 3 * stages
