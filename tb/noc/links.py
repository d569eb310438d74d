"""Ends of a link with credits, for agents."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.lib.agent import Agent
from ouroboros.tb.noc.packets import Flit, Sink, flit_of

__all__ = ["LinkSink", "LinkSource"]


class LinkSource:
    """Sends queued flits into a receiving end, as fast as credits allow.

    Parameters
    ----------
    agent : Agent
        Whose cycles they are.
    name : str
        The link, a member of the component.
    noc : NocParams
        The network.
    idle : Callable
        True holds all channels for a cycle.
    pick : Callable
        Chooses among the channels that could send; without, they take turns.
    sent : Callable
        Told every flit.
    """

    def __init__(self, agent: Agent, name: str, noc: NocParams, *,
                 idle: Callable[[], bool] | None = None,
                 pick: Callable[[Sequence[int]], int] | None = None,
                 sent: Callable[[Flit], None] = lambda flit: None):
        self._agent, self._name = agent, name
        self.idle, self._pick, self._report = idle or agent.idle, pick or self._turns, sent
        self.credits = [noc.vc_depth] * noc.channels
        self.queues: list[deque[Flit]] = [deque() for _ in range(noc.channels)]
        self.sent: list[int] = []  # cycle in which each flit was on the link
        self._turn = 0
        self._depth = noc.vc_depth
        agent.ends.append(self)

    def send(self, flits: Iterable[Flit]) -> None:
        for flit in flits:
            self.queues[flit.vc].append(flit)

    @property
    def empty(self) -> bool:
        return not any(self.queues)

    @property
    def whole(self) -> bool:
        """All credits are back."""
        return all(count == self._depth for count in self.credits)

    def drive(self) -> None:
        dut = self._agent.dut
        back = dut.get(f"{self._name}__credit")
        for vc in range(len(self.queues)):
            self.credits[vc] += back >> vc & 1
            assert self.credits[vc] <= self._depth, f"too many credits for channel {vc}"
        able = [vc for vc, queue in enumerate(self.queues) if queue and self.credits[vc]]
        go = bool(able) and not self.idle()
        dut.set(f"{self._name}__valid", int(go))
        if go:
            vc = self._pick(able)
            self.credits[vc] -= 1
            flit = self.queues[vc].popleft()
            self.sent.append(self._agent.cycle)
            dut.set(f"{self._name}__flit", flit._asdict())
            self._report(flit)

    def look(self) -> None:
        """Nothing: credits are counted before flits are sent."""

    def _turns(self, able: Sequence[int]) -> int:
        vc = min(able, key=lambda v: (v - self._turn) % len(self.queues))
        self._turn = vc + 1
        return vc


class LinkSink:
    """Takes flits from a sending end; checks packets and credits.

    ``hold(vc)`` true keeps the credits of a channel for this cycle.
    """

    def __init__(self, agent: Agent, name: str, noc: NocParams, *,
                 hold: Callable[[int], bool] | None = None):
        self._agent, self._name = agent, name
        self.hold = hold or (lambda vc: agent.idle())
        self.sink = Sink()
        self.flits: list[Flit] = []
        self.seen: list[int] = []  # cycle in which each flit was on the link
        self._owed = [0] * noc.channels
        self._depth = noc.vc_depth
        agent.ends.append(self)

    @property
    def packets(self) -> list[list[Flit]]:
        return self.sink.packets

    def drive(self) -> None:
        give = 0
        for vc in range(len(self._owed)):
            if self._owed[vc] and not self.hold(vc):
                self._owed[vc] -= 1
                give |= 1 << vc
        self._agent.dut.set(f"{self._name}__credit", give)

    def look(self) -> None:
        dut = self._agent.dut
        if dut.get(f"{self._name}__valid"):
            flit = flit_of(dut.get(f"{self._name}__flit"))
            self.flits.append(flit)
            self.seen.append(self._agent.cycle)
            self.sink.take(flit)
            self._owed[flit.vc] += 1
            assert self._owed[flit.vc] <= self._depth, f"channel {flit.vc} was sent too much"
