"""Ends of links for Amaranth's own simulator."""

from collections import deque
from collections.abc import Callable

from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.noc.packets import Flit, Sink

__all__ = ["LinkSink", "LinkSource"]


class LinkSource:
    """Sends queued flits into a receiving end, as fast as credits allow.

    Call ``step`` once per cycle. Channels take turns; ``idle`` may hold all of them for a cycle.
    """

    def __init__(self, link, noc: NocParams, *, idle: Callable[[], bool] = lambda: False):
        self.link = link
        self.credits = [noc.vc_depth] * noc.channels
        self.queues: list[deque[Flit]] = [deque() for _ in range(noc.channels)]
        self.idle = idle
        self.sent: list[int] = []  # cycle in which each flit was on the link
        self._turn = 0
        self._depth = noc.vc_depth

    def send(self, flits: list[Flit]) -> None:
        for flit in flits:
            self.queues[flit.vc].append(flit)

    @property
    def empty(self) -> bool:
        return not any(self.queues)

    @property
    def whole(self) -> bool:
        """All credits are back."""
        return all(count == self._depth for count in self.credits)

    def step(self, ctx, cycle: int) -> None:
        back = ctx.get(self.link.credit)
        for vc in range(len(self.queues)):
            self.credits[vc] += back >> vc & 1
            assert self.credits[vc] <= self._depth, f"too many credits for channel {vc}"
        able = [] if self.idle() else [
            vc for vc in range(len(self.queues)) if self.queues[vc] and self.credits[vc]]
        ctx.set(self.link.valid, bool(able))
        if able:
            vc = min(able, key=lambda v: (v - self._turn) % len(self.queues))
            self._turn = vc + 1
            self.credits[vc] -= 1
            flit = self.queues[vc].popleft()
            self.sent.append(cycle)
            for name in ("data", "vc", "head", "tail"):
                ctx.set(getattr(self.link.flit, name), getattr(flit, name))


class LinkSink:
    """Takes flits from a sending end; checks packets and credits.

    ``hold(vc)`` true keeps the credits of a channel for this cycle.
    """

    def __init__(self, link, noc: NocParams, *, hold: Callable[[int], bool] = lambda vc: False):
        self.link = link
        self.hold = hold
        self.sink = Sink()
        self.flits: list[Flit] = []
        self.seen: list[int] = []  # cycle in which each flit was on the link
        self._owed = [0] * noc.channels
        self._depth = noc.vc_depth

    @property
    def packets(self) -> list[list[Flit]]:
        return self.sink.packets

    def step(self, ctx, cycle: int) -> None:
        give = 0
        for vc in range(len(self._owed)):
            if self._owed[vc] and not self.hold(vc):
                self._owed[vc] -= 1
                give |= 1 << vc
        if ctx.get(self.link.valid):
            flit = Flit(*(ctx.get(getattr(self.link.flit, name))
                          for name in ("data", "vc", "head", "tail")))
            self.flits.append(flit)
            self.seen.append(cycle)
            self.sink.take(flit)
            self._owed[flit.vc] += 1
            assert self._owed[flit.vc] <= self._depth, f"channel {flit.vc} was sent too much"
        ctx.set(self.link.credit, give)
