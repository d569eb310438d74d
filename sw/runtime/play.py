"""Requests that arrive, and are given up, while others are served."""

from collections.abc import Sequence
from typing import Protocol

from ouroboros.sw.runtime.engine import Engine, Request
from ouroboros.sw.runtime.link import Link

__all__ = ["Clock", "CycleClock", "Timed", "TokenClock", "play"]


class Timed(Protocol):
    """What is played: see ``sw.runtime.job.RequestSpec``."""

    @property
    def prompt(self) -> tuple[int, ...]:
        """Token ids."""

    @property
    def limit(self) -> int:
        """Tokens to generate at most."""

    @property
    def logits(self) -> str:
        """Whose are streamed."""

    @property
    def arrival(self) -> int:
        """When it is submitted."""

    @property
    def priority(self) -> int:
        """Higher ones go first."""

    @property
    def deadline(self) -> int | None:
        """When it is too late."""

    @property
    def cancel_at(self) -> int | None:
        """When it is given up."""


class Clock(Protocol):
    """Time of a run, from 0."""

    def now(self) -> int:
        """What time it is."""

    async def wait(self, until: int) -> None:
        """Let time pass; the machine has nothing to do."""


class CycleClock:
    """Cycles of a machine that has a clock, from the link's ``start`` on."""

    def __init__(self, link: Link, start: int):
        self.link, self.start = link, start

    def now(self) -> int:
        """Cycles since the start."""
        assert self.link.cycles is not None, "a link without clock has no cycles"
        return self.link.cycles - self.start

    async def wait(self, until: int) -> None:
        """Let cycles pass."""
        await self.link.wait(until - self.now())


class TokenClock:
    """Time of the golden machine, which has none: every token that goes in takes one tick."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self._skipped = 0

    def now(self) -> int:
        """Tokens that have gone in, and ticks without one."""
        return self._skipped + (0 if self.engine is None else self.engine.injected)

    async def wait(self, until: int) -> None:
        """Ticks without a token."""
        self._skipped += max(until - self.now(), 0)


async def play(engine: Engine, clock: Clock, specs: Sequence[Timed],
               requests: list[Request]) -> None:
    """Serve requests that arrive when they say, until all have ended.

    Arrivals, and those who give up, are noticed whenever something comes back from the machine, at
    once where it has nothing to do.

    Parameters
    ----------
    requests : list
        Gets every request, in the order of ``specs``, once it has arrived; arrivals must not fall.
    """
    coming, leaving = 0, sorted(
        (n for n, spec in enumerate(specs) if spec.cancel_at is not None),
        key=lambda n: (specs[n].cancel_at, n))
    while True:
        now = clock.now()
        while coming < len(specs) and specs[coming].arrival <= now:
            spec = specs[coming]
            requests.append(engine.submit(
                spec.prompt, limit=spec.limit, logits=spec.logits, priority=spec.priority,
                deadline=spec.deadline, arrival=spec.arrival))
            coming += 1
        while leaving and leaving[0] < coming and (specs[leaving[0]].cancel_at or 0) <= now:
            requests[leaving.pop(0)].cancel()
        if not engine.scheduler.idle:
            await engine.step()
            continue
        engine.look()
        if coming == len(specs):
            return
        await clock.wait(specs[coming].arrival)
