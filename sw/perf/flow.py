"""Tokens that follow each other through the machine, and wait for each other on their way.

Where ``sw.perf.walk`` has one token in an empty machine, here all tokens of a run are under way.
"""

from collections.abc import Sequence

from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.host import Host, Prompt
from ouroboros.sw.perf.routed import Routed
from ouroboros.sw.perf.running import STUCK, Flow, Running, Span
from ouroboros.sw.program.image import Stage, Token
from ouroboros.sw.program.program import Program

__all__ = ["Flow", "Span", "flow", "follow"]


def flow(program: Program, stages: Sequence[Stage], tokens: Sequence[Token], *,
         routers: bool = False) -> Flow:
    """Send tokens of one sequence through the machine, as fast as the host may.

    Parameters
    ----------
    routers : bool
        As for ``follow``.

    Raises
    ------
    PerfError
        If some token never gets to the host.
    """
    found = follow(program, stages, Prompt(tokens), routers=routers)
    if len(found.tokens) < len(tokens):
        raise PerfError(STUCK.format(len(tokens) - len(found.tokens)))
    return found


def follow(program: Program, stages: Sequence[Stage], host: Host, *,
           routers: bool = False) -> Flow:
    """Send what a host decides through the machine, until it has nothing more.

    Parameters
    ----------
    routers : bool
        Every flit, buffer and credit of the mesh is followed, too, and senders wait for it
        (``sw.perf.routed``); else vectors wait for links alone, each in the first gap.

    Raises
    ------
    PerfError
        If some token never gets back.
    """
    return (Routed if routers else Running)(program, stages, host).run()


