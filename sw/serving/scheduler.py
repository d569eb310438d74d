"""Who is admitted, who goes next, who gives way and what is sent again: decisions alone."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.credits import Credits
from ouroboros.sw.serving.request import AnyRequest, Sequence

__all__ = ["Scheduler", "ServingError", "Step", "Verdict"]


class ServingError(OuroborosError):
    """Settings that no scheduler can work with."""


@dataclass(frozen=True, slots=True)
class Step(Generic[AnyRequest]):
    """A token that may go in now."""

    sequence: Sequence[AnyRequest]
    """Whose."""
    position: int
    """Which."""
    free: bool = False
    """It computes nothing and frees the sequence's KV."""

    @property
    def last(self) -> bool:
        """Whether the token after it is to be generated from it."""
        return self.position == self.sequence.request.length - 1


class Verdict(Enum):
    """What a computed token is worth."""

    IGNORED = auto()
    """It will be computed again, or nobody wants it any more."""
    ACCEPTED = auto()
    """It counts."""
    GENERATED = auto()
    """It counts, and what follows from it is the next token of the text."""


class Scheduler(Generic[AnyRequest]):
    """Continuous batching, first come first served, with preemption.

    Tokens go in as soon as the first stage has room: decode tokens of running sequences first, then
    prompt tokens of the oldest admitted sequence. A sequence is admitted only while the KV blocks
    of all, plus ``headroom_blocks``, fit. If a core was full all the same, the youngest sequence
    gives up its KV and starts again later, not before another has ended.

    A token that found a core full is refused. It is sent again, with those behind it, once a
    sequence has been freed that might have made room; tokens of a sequence come back in any order,
    as those that compute nothing overtake others.

    Whoever drives it asks ``admit`` and ``next``, says ``inject`` of what goes in, and ``done``,
    ``refused`` or ``freed`` of what comes out, and ``credits.give``.

    Parameters
    ----------
    book : KvBook
        KV of the machine.
    room : mapping
        Tokens that the first stage has room for, by credit counter.
    sequences : int
        Sequences that may be alive at once.
    context : int
        Positions that a sequence may have.
    window : int, optional
        Most tokens under way at once; 1 sends them one at a time.
    headroom_blocks : int
        Blocks kept free for decode growth when a sequence is admitted.

    Raises
    ------
    ServingError
        If ``window`` or ``headroom_blocks`` is out of range.
    """

    def __init__(self, book: KvBook, room: Mapping[int, int], *, sequences: int, context: int,
                 window: int | None = None, headroom_blocks: int = 1):
        if window is not None and window < 1:
            raise ServingError(f"window must be at least 1, not {window!r}")
        if headroom_blocks < 0:
            raise ServingError(f"headroom_blocks must be at least 0, not {headroom_blocks!r}")
        self.book, self.credits = book, Credits(room)
        self.context = context
        self.window = window
        self.headroom_blocks = headroom_blocks
        self.injected = 0
        self.free_ids = deque(range(sequences))
        self.waiting: deque[AnyRequest] = deque()
        self.active: list[Sequence[AnyRequest]] = []
        self._freed = 0
        # No admission between a preemption and the next end of a sequence: the room is not there.
        self._crowded = False

    @property
    def flying(self) -> int:
        """Tokens under way."""
        return sum(len(sequence.flying) for sequence in self.active)

    @property
    def owed(self) -> bool:
        """Whether something has yet to come back: a token or a credit."""
        return bool(self.flying) or not self.credits.home

    @property
    def idle(self) -> bool:
        """Whether every request has ended, and nothing is owed."""
        return not self.waiting and not self.active and self.credits.home

    def find(self, sequence: int, position: int) -> Sequence[AnyRequest] | None:
        """The sequence of this id, if this token of it is under way."""
        return next((s for s in self.active if s.id == sequence and position in s.flying), None)

    # Admission

    def submit(self, request: AnyRequest) -> None:
        """Queue a request."""
        self.waiting.append(request)

    def admit(self) -> None:
        """Drop what was cancelled, then make sequences of those that wait and fit."""
        self._cancel()
        while self.waiting and self.free_ids:
            request = self.waiting[0]
            if not self.book.holds(request.length):
                # Not even alone: nobody has to make room for it in vain.
                self.waiting.popleft()
                request.finished = "kv_full"
                continue
            if self.active and (self._crowded or not self._has_room(request.length + 1)):
                return
            self.waiting.popleft()
            self.active.append(Sequence(request, self.free_ids.popleft()))

    def _has_room(self, tokens: int) -> bool:
        alive = [(sequence.id, sequence.request.length) for sequence in self.active]
        return self.headroom_blocks <= self.book.free([*alive, (self.free_ids[0], tokens)])

    def _cancel(self) -> None:
        for request in [request for request in self.waiting if request.cancelled]:
            self.waiting.remove(request)
            request.finished = "cancelled"
        for sequence in self.active:
            if sequence.request.cancelled and sequence.leaving is None:
                sequence.leaving = "cancelled"

    # Tokens in

    def next(self) -> Step[AnyRequest] | None:
        """The token that goes in now, if any may."""
        if not self.credits.ready:
            return None
        if self.window is not None and self.flying >= self.window:
            return None
        for sequence in self.active:
            if sequence.leaving and not sequence.flying:
                return Step(sequence, sequence.next, free=True)
        ready = [s for s in self.active if not s.leaving and s.rewind is None
                 and s.next < s.request.length]
        # Decode tokens first; min() keeps the order of admission among equals.
        chosen = min(ready, key=lambda s: not s.decodes, default=None)
        return None if chosen is None else Step(chosen, chosen.next)

    def inject(self, step: Step[AnyRequest], now: int | None = None) -> None:
        """The token goes in."""
        sequence, position = step.sequence, step.position
        self.credits.take()
        self.injected += 1
        sequence.flying[position] = self._freed
        sequence.next = position + 1
        if now is not None:
            sequence.request.start_times.setdefault(position, now)

    # Tokens out

    def done(self, sequence: Sequence[AnyRequest], position: int, *, stops: bool,
             now: int | None = None) -> Verdict:
        """A token was computed; ``stops``: the likeliest one after it would end the text."""
        del sequence.flying[position]
        verdict = Verdict.IGNORED
        if ((sequence.rewind is None or position < sequence.rewind)
                and not sequence.request.cancelled):
            verdict = self._accept(sequence, position, stops)
            if now is not None:
                sequence.request.finish_times[position] = now
        self._settle(sequence)
        return verdict

    def _accept(self, sequence: Sequence[AnyRequest], position: int, stops: bool) -> Verdict:
        request, verdict = sequence.request, Verdict.ACCEPTED
        if position < request.length - 1:
            return verdict
        if request.generated < request.limit:
            request.generated += 1
            verdict = Verdict.GENERATED
        # The end comes before a preemption that was decided meanwhile.
        if verdict is Verdict.GENERATED and stops:
            sequence.leaving = "stop"
        elif request.generated >= request.limit:
            sequence.leaving = "length"
        elif request.length > self.context:
            sequence.leaving = "context"
        return verdict

    def refused(self, sequence: Sequence[AnyRequest], position: int) -> None:
        """A token found a core full and ran through without effect."""
        freed = sequence.flying.pop(position)
        if sequence.rewind is None:
            sequence.rewind, sequence.refused_at = position, freed
        sequence.rewind = min(sequence.rewind, position)
        sequence.refused_at = min(sequence.refused_at, freed)
        self._settle(sequence)

    def _settle(self, sequence: Sequence[AnyRequest]) -> None:
        """Decide about a sequence with refused tokens once nothing of it is under way."""
        if sequence.rewind is None or sequence.leaving or sequence.flying:
            return
        if not self.book.holds(sequence.rewind + 1):
            sequence.leaving = "kv_full"
        elif self._freed > sequence.refused_at:
            self._resume(sequence)
        elif not any(s.leaving for s in self.active):
            victim = self.active[-1]
            victim.leaving = "kv_full" if len(self.active) == 1 else "preempted"

    def restart(self, room: Mapping[int, int], book: KvBook,
                kept: Callable[[Sequence[AnyRequest]], int]) -> int:
        """The machine has lost every token under way, and KV of some sequences.

        Parameters
        ----------
        room, book
            Of the machine as it is now.
        kept : callable
            Position up to which the machine still has a sequence's KV.

        Returns
        -------
        int
            Tokens that have to go in again.
        """
        self.credits, self.book = Credits(room), book
        again = 0
        for sequence in self.active:
            first = min([sequence.next, *sequence.flying, kept(sequence)]
                        + ([] if sequence.rewind is None else [sequence.rewind]))
            again += sequence.next - first
            sequence.next, sequence.rewind = first, None
            sequence.flying.clear()
        return again

    @staticmethod
    def _resume(sequence: Sequence[AnyRequest]) -> None:
        """Send the refused tokens again."""
        if sequence.rewind is not None:
            sequence.next, sequence.rewind = sequence.rewind, None

    def freed(self, sequence: Sequence[AnyRequest]) -> None:
        """The machine has freed the sequence's KV."""
        self.active.remove(sequence)
        self.free_ids.append(sequence.id)
        self._freed += 1
        request = sequence.request
        self._crowded = sequence.leaving == "preempted"
        if self._crowded:
            request.preemptions += 1
            self.waiting.appendleft(request)
        else:
            request.finished = sequence.leaving
        for other in self.active:
            if not other.flying and not other.leaving:
                self._resume(other)
