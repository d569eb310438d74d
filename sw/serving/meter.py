"""What a scheduler's machine held over time: sequences, KV, tokens under way, bubbles."""

from dataclasses import dataclass, field
from typing import Any

from ouroboros.sw.serving.request import AnyRequest
from ouroboros.sw.serving.scheduler import Scheduler

__all__ = ["Meter", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What there was from a time on."""

    time: int
    """In the caller's unit."""
    alive: int
    """Sequences."""
    waiting: int
    """Requests that are none yet."""
    reserved: int
    """KV blocks that sequences reserve, over all members of a head."""
    filled: int
    """KV blocks in which tokens lie, those under way included, also if they will be refused."""
    tokens: int
    """Tokens whose KV is kept."""
    flying: int
    """Tokens under way."""
    bubble: bool
    """The first stage had room and nobody's token could go in, though requests were there."""


@dataclass(slots=True, kw_only=True)
class Meter:
    """Integrals over time, and the most of everything.

    A scheduler is looked at when something may have changed; until the next look it is as it was.
    """

    scheduler: Scheduler[Any]
    """Whose."""
    keep: bool = False
    """Whether every sample is kept, for pictures."""
    samples: list[Sample] = field(default_factory=list)
    """Samples, if they are kept; of the same time the last."""
    peaks: dict[str, int] = field(default_factory=dict)
    """The most of each quantity."""
    _areas: dict[str, int] = field(default_factory=dict)
    _last: Sample | None = None
    _first: int = 0

    def look(self, now: int) -> Sample:
        """What there is now."""
        last = self._last
        if last is None:
            self._first = now
        else:
            for name in QUANTITIES:
                self._areas[name] = (self._areas.get(name, 0)
                                     + int(getattr(last, name)) * (now - last.time))
        sample = self._last = self.sample(now)
        for name in QUANTITIES:
            self.peaks[name] = max(self.peaks.get(name, 0), int(getattr(sample, name)))
        if self.keep:
            if self.samples and self.samples[-1].time == now:
                self.samples.pop()
            self.samples.append(sample)
        return sample

    def sample(self, now: int) -> Sample:
        """What the scheduler has."""
        scheduler = self.scheduler
        book, active = scheduler.book, scheduler.active
        return Sample(
            time=now, alive=len(active), waiting=len(scheduler.waiting),
            reserved=sum(book.reserved(_length(one.request)) for one in active),
            filled=sum(book.filled(one.kept) for one in active),
            tokens=sum(one.kept for one in active), flying=scheduler.flying,
            bubble=(bool(active or scheduler.waiting) and scheduler.credits.ready
                    and scheduler.next() is None))

    def means(self, until: int) -> dict[str, float]:
        """Time averages from the first look to ``until``; of ``bubble`` the share of time."""
        if self._last is None or until <= self._first:
            return dict.fromkeys(QUANTITIES, 0.0)
        rest = max(until - self._last.time, 0)
        return {name: (self._areas.get(name, 0) + int(getattr(self._last, name)) * rest)
                / (until - self._first) for name in QUANTITIES}


QUANTITIES = ("alive", "waiting", "reserved", "filled", "tokens", "flying", "bubble")


def _length(request: AnyRequest) -> int:
    return request.length
