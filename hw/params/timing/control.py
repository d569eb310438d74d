"""Cycles of controller and send unit: what a token's instruction takes besides its unit's time.

``tests/hw/core`` asserts them of the hardware, ``sw.perf`` counts with them.
"""

from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX

__all__ = ["ACCEPT_CYCLES", "DISPATCH_CYCLES", "ISSUE_CYCLES", "RELEASE_CYCLES", "WAKE_CYCLES",
           "send_cycles"]

DISPATCH_CYCLES = 2
"""Of the dispatcher for each instruction; one that runs in no unit (WAIT for operands that are
there, END, one whose condition fails) takes its token no longer."""
ISSUE_CYCLES = 3
"""Cycles of a token's instruction in a unit that are not the unit's: picked, handed over, and the
one after ``done``."""
ACCEPT_CYCLES = 2
"""Of these, the ones before the unit takes it."""
WAKE_CYCLES = 1
"""From the arrival that a WAIT lacked to the pick of that WAIT."""
RELEASE_CYCLES = 2
"""From ``release`` to ``done`` of the next result of the array, if nothing has to be dropped."""


def send_cycles(flits: int) -> int:
    """SEND of ``flits`` payload flits: from acceptance to ``done``, when the next is accepted."""
    return 1 + flits + -(-flits // PAYLOAD_FLITS_MAX)
