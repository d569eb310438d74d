"""Who is admitted, who goes next, who gives way and what is sent again: decisions alone."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.credits import Credits
from ouroboros.sw.serving.options import ServingError, ServingOptions
from ouroboros.sw.serving.pools import PoolBook
from ouroboros.sw.serving.request import AnyRequest, Sequence

__all__ = ["Scheduler", "ServingError", "Step", "Verdict"]

GUESSED = -1
"""Sequences freed when a guess went in: what is sent again because of it waits for none."""


@dataclass(frozen=True, slots=True)
class Step(Generic[AnyRequest]):
    """A token that may go in now."""

    sequence: Sequence[AnyRequest]
    """Whose."""
    position: int
    """Which."""
    free: bool = False
    """It computes nothing and frees the sequence's KV."""
    move: bool = False
    """It computes nothing: KV goes to the host before it is freed, or comes back from there."""

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
    prompt tokens of the oldest admitted sequence; ``ServingOptions`` has the alternatives. A
    sequence is admitted only while the KV blocks of all, plus ``headroom_blocks``, fit. If a core
    was full all the same, the youngest sequence gives up its KV and starts again later, not before
    another has ended.

    Requests of a higher priority are admitted before others and go in first; where one finds no
    room, the youngest sequence of the lowest priority below its own gives way.

    A token that found a core full is refused. It is sent again, with those behind it, once a
    sequence has been freed that might have made room; tokens of a sequence come back in any order,
    as those that compute nothing overtake others.

    Whoever drives it asks ``admit`` and ``next``, says ``inject`` of what goes in, and ``done``,
    ``refused``, ``freed`` or ``restored`` of what comes out, and ``credits.give``.

    Parameters
    ----------
    book : KvBook
        KV of the machine; ``options.static_tokens`` is what it reserves.
    room : mapping
        Tokens that the first stage has room for, by credit counter.
    sequences : int
        Sequences that may be alive at once.
    context : int
        Positions that a sequence may have.
    options : ServingOptions
        Policy.
    pools : PoolBook, optional
        A second room: who finds none in the first lives there, whole, and needs no id of the
        machine's. Its tokens go in when its lane is not busy.

    Raises
    ------
    ServingError
        If the book reserves something else than the options say.
    """

    def __init__(self, book: KvBook, room: Mapping[int, int], *, sequences: int, context: int,
                 options: ServingOptions | None = None, pools: PoolBook | None = None):
        self.options = options or ServingOptions()
        if book.static_tokens != self.options.static_tokens:
            raise ServingError(f"static_tokens of book and options must be the same, not "
                               f"{book.static_tokens} and {self.options.static_tokens}")
        self.book, self.credits, self.pools = book, Credits(room), pools
        self.context, self._pool_ids = context, sequences
        self.injected = 0
        self.free_ids = deque(range(sequences))
        self.waiting: deque[AnyRequest] = deque()
        self.active: list[Sequence[AnyRequest]] = []
        self._freed = self._turns = 0
        # No admission between a preemption and the next end of a sequence: the room is not there,
        # but for requests of a higher priority than this.
        self._crowded: int | None = None

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

    def submit(self, request: AnyRequest, now: int | None = None) -> None:
        """Queue a request behind those of its priority and above."""
        request.arrival = now if request.arrival is None else request.arrival
        self.waiting.insert(sum(other.priority >= request.priority for other in self.waiting),
                            request)

    def admit(self, now: int | None = None) -> None:
        """Drop what was given up, then make sequences of those that wait and fit."""
        self._cancel(now)
        while self.waiting:
            request = self.waiting[0]
            if self.pools is not None and self._enter_pool(request, self.pools):
                self.waiting.popleft()
                continue
            if self.pools is not None and self.pools.holds(_whole(request)) and not self._fits(
                    request):
                return
            if not self.book.holds(request.length):
                # Not even alone: nobody has to make room for it in vain.
                self.waiting.popleft()
                request.finished = "kv_full"
                continue
            if not self.free_ids or (self._resident and not self._may_enter(request)):
                self._make_room(request)
                return
            self.waiting.popleft()
            request.admitted = now if request.admitted is None else request.admitted
            self.active.append(Sequence(
                request, self.free_ids.popleft(), next=request.saved, fill=request.length,
                turn=self._turns, restore=request.saved > 0))

    @property
    def _resident(self) -> list[Sequence[AnyRequest]]:
        """Sequences that hold KV of the machine."""
        return [sequence for sequence in self.active if sequence.lane is None]

    def _fits(self, request: AnyRequest) -> bool:
        """Whether the machine holds all of a request when it is alone."""
        return self.book.holds(_whole(request)) and _whole(request) <= self.context

    def _enter_pool(self, request: AnyRequest, pools: PoolBook) -> bool:
        """Whether a request becomes a sequence of a pool, having no room in the machine."""
        if self._fits(request) and self.free_ids and (
                not self._resident or self._may_enter(request)):
            return False
        lane = pools.take(_whole(request))
        if lane is not None:
            self.active.append(Sequence(request, self._pool_ids, fill=request.length, lane=lane))
            self._pool_ids += 1
        return lane is not None

    def _may_enter(self, request: AnyRequest) -> bool:
        if self._crowded is not None and request.priority <= self._crowded:
            return False
        alive = [(sequence.id, sequence.request.length) for sequence in self._resident]
        return self.options.headroom_blocks <= self.book.free(
            [*alive, (self.free_ids[0], request.length + 1)])

    def _make_room(self, request: AnyRequest) -> None:
        """A sequence of a lower priority gives way, one at a time."""
        if not any(sequence.leaving for sequence in self.active):
            victim = self._victim()
            if victim.request.priority < request.priority:
                victim.leaving = self._way_out(victim)

    def _victim(self) -> Sequence[AnyRequest]:
        """The youngest of the lowest priority."""
        return min(reversed(self._resident), key=lambda sequence: sequence.request.priority)

    def _way_out(self, victim: Sequence[AnyRequest]) -> str:
        """How a sequence gives way: what costs less when it comes again."""
        cost, tokens = self.options.swap_cost, victim.kept
        if cost is None or victim.restore:
            return "preempted"
        return "swapped" if 2 * cost * self.book.filled(tokens) < tokens else "preempted"

    def _cancel(self, now: int | None) -> None:
        for request in [*self.waiting, *(sequence.request for sequence in self.active)]:
            if now is not None and request.deadline is not None and now >= request.deadline:
                request.cancel("deadline")
        for request in [request for request in self.waiting if request.cancelled]:
            self.waiting.remove(request)
            request.finished = request.cancelled
        for sequence in self.active:
            if sequence.request.cancelled and sequence.leaving is None:
                sequence.leaving = sequence.request.cancelled

    # Tokens in

    def next(self) -> Step[AnyRequest] | None:
        """The token that goes in now, if any may."""
        if not self.credits.ready:
            return None
        if self.options.window is not None and self.flying >= self.options.window:
            return None
        if self.options.grain == "sequence":
            for sequence in self.active:
                if sequence.filling:
                    within = sequence.ready and sequence.next < sequence.fill
                    return Step(sequence, sequence.next) if within else None
        for sequence in self.active:
            if sequence.leaving and not sequence.flying:
                return Step(sequence, sequence.next, free=True, move=sequence.leaving == "swapped")
            if sequence.restore and not sequence.flying:
                return Step(sequence, sequence.next, move=True)
        ready = [sequence for sequence in self.active if sequence.ready and (
            sequence.lane is None or self.pools is None or sequence.lane not in self.pools.busy)]
        if self.options.grain == "sequence":
            whole = [sequence for sequence in ready if sequence.next < sequence.fill]
            if whole and self.flying:
                return None
            ready = whole or ready
        # min() keeps the order of admission among equals.
        chosen = min(ready, key=self._rank, default=None)
        if chosen is None and self.options.speculate:
            chosen = min((sequence for sequence in self.active if sequence.guesses),
                         key=lambda one: one.next - one.request.length, default=None)
        return None if chosen is None else Step(chosen, chosen.next)

    def _rank(self, sequence: Sequence[AnyRequest]) -> tuple[int, bool, int]:
        """The lowest goes first."""
        second = sequence.decodes == (self.options.first == "prompt")
        return -sequence.request.priority, second, 0 if sequence.decodes else sequence.turn

    def inject(self, step: Step[AnyRequest], now: int | None = None) -> None:
        """The token goes in."""
        sequence, position = step.sequence, step.position
        self.credits.take()
        self.injected += 1
        sequence.flying[position] = self._freed
        if step.free or step.move:
            return
        sequence.next = position + 1
        sequence.request.guessed += position >= sequence.request.length
        chunk = self.options.chunk_tokens
        if chunk is not None and sequence.next % chunk == 0:
            self._turns += 1
            sequence.turn = self._turns
        if now is not None:
            sequence.request.start_times.setdefault(position, now)

    # Tokens out

    def done(self, sequence: Sequence[AnyRequest], position: int, *, stops: bool,
             now: int | None = None) -> Verdict:
        """A token was computed; ``stops``: the likeliest one after it would end the text."""
        del sequence.flying[position]
        request, verdict = sequence.request, Verdict.IGNORED
        request.recomputed += position in request.computed
        request.computed.add(position)
        if ((sequence.rewind is None or position < sequence.rewind)
                and position < request.length and not request.cancelled):
            verdict = self._accept(sequence, position, stops)
            if now is not None:
                request.finish_times[position] = now
                if verdict is Verdict.GENERATED:
                    request.token_times.append(now)
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
        elif request.length > self.context and sequence.lane is None:
            sequence.leaving = "context"
        return verdict

    def refused(self, sequence: Sequence[AnyRequest], position: int) -> None:
        """A token found a core full and ran through without effect."""
        freed = sequence.flying.pop(position)
        if position >= sequence.request.length:
            # Nobody gives way for a guess.
            freed, sequence.request.ahead = GUESSED, 0
        if sequence.rewind is None:
            sequence.rewind, sequence.refused_at = position, freed
        sequence.rewind = min(sequence.rewind, position)
        sequence.refused_at = min(sequence.refused_at, freed)
        self._settle(sequence)

    def guess(self, request: AnyRequest, tokens: int) -> int:
        """So many tokens after a request's text are guessed; how many of them may go in."""
        last = min(request.prompt_tokens + request.limit - 1, self.context)
        ahead = max(min(tokens, self.options.speculate, last - request.length), 0)
        while ahead and not self.book.holds(request.length + ahead):
            ahead -= 1
        request.ahead = ahead
        return ahead

    def confirmed(self, sequence: Sequence[AnyRequest], *, right: bool) -> None:
        """A token was generated that had been guessed; a wrong guess, and what is behind it, goes
        in again once nothing of it is under way.
        """
        request, first = sequence.request, sequence.request.length - 1
        if right:
            request.confirmed += sequence.next > first
            request.ahead -= 1
            return
        request.ahead = 0
        if sequence.next > first:
            sequence.rewind = first if sequence.rewind is None else min(sequence.rewind, first)
            sequence.refused_at = GUESSED
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
            victim = self._victim()
            victim.leaving = "kv_full" if len(self._resident) == 1 else self._way_out(victim)

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
            sequence.next, sequence.rewind, sequence.request.ahead = first, None, 0
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
        request = sequence.request
        if sequence.lane is None or self.pools is None:
            self.free_ids.append(sequence.id)
        else:
            self.pools.give(sequence.lane, _whole(request))
        self._freed += 1
        if sequence.leaving in ("preempted", "swapped"):
            self._crowded = request.priority
            request.preemptions += 1
            request.swaps += sequence.leaving == "swapped"
            if sequence.leaving == "swapped":
                request.saved = sequence.kept
            elif not sequence.restore:
                request.saved = 0
            self.waiting.insert(
                sum(other.priority > request.priority for other in self.waiting), request)
        else:
            self._crowded = None
            request.finished = sequence.leaving
            request.computed.clear()
        for other in self.active:
            if not other.flying and not other.leaving:
                self._resume(other)

    def restored(self, sequence: Sequence[AnyRequest], position: int, *, took: bool) -> None:
        """The sequence's KV is back from the host; without ``took`` there was no room for it."""
        del sequence.flying[position]
        if took:
            sequence.restore, sequence.request.saved = False, 0
        else:
            sequence.leaving = sequence.leaving or "preempted"


def _whole(request: AnyRequest) -> int:
    """Tokens of a request when it has ended at its limit."""
    return request.prompt_tokens + request.limit
