"""Serves requests on a machine: tokens of many sequences through one pipeline."""

from collections import deque
from collections.abc import Callable, Iterable

from ouroboros.hw.params.packet import Flag, Kind
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.link import Link
from ouroboros.sw.runtime.results import Result, Results
from ouroboros.sw.runtime.rows import token_packets
from ouroboros.sw.runtime.sequence import Request, Sequence

__all__ = ["Engine", "EngineError", "Request"]


class EngineError(OuroborosError):
    """A request that cannot be served, or a machine that misbehaves."""


class Engine:
    """Continuous batching, first come first served, with preemption.

    Tokens are injected as soon as the first stage has room: decode tokens of running sequences
    first, then prompt tokens of the oldest admitted sequence. A sequence is admitted only while the
    KV blocks of all, plus ``headroom_blocks``, fit. If a core was full all the same, the youngest
    sequence gives up its KV and starts again later, not before another has ended.

    A token that found a core full comes back poisoned. It is sent again, with those behind it, once
    a sequence has been freed that might have made room; tokens of a sequence come back in any
    order, as those that compute nothing overtake others.

    Parameters
    ----------
    link : Link
        Transport to a machine that is loaded with ``program``.
    model : QuantModel
        For embedding and RoPE rows, all that the host injects.
    stop_ids : iterable of int
        Ids that end a sequence.
    window : int, optional
        Most tokens under way at once; 1 sends them one at a time.
    headroom_blocks : int
        Blocks kept free for decode growth when a sequence is admitted.
    on_token : callable, optional
        Called with (request, id) for every generated token.

    Raises
    ------
    EngineError
        If ``window`` or ``headroom_blocks`` is out of range.
    """

    def __init__(self, link: Link, program: Program, model: QuantModel, *,
                 stop_ids: Iterable[int] = (), window: int | None = None,
                 headroom_blocks: int = 1,
                 on_token: Callable[[Request, int], None] | None = None):
        if window is not None and window < 1:
            raise EngineError(f"window must be at least 1, not {window!r}")
        if headroom_blocks < 0:
            raise EngineError(f"headroom_blocks must be at least 0, not {headroom_blocks!r}")
        self.link, self.program, self.model = link, program, model
        self.machine = program.machine
        self.stop_ids = frozenset(stop_ids)
        self.window = window
        self.headroom_blocks = headroom_blocks
        self.on_token = on_token
        self.injected = 0
        self._waiting: deque[Request] = deque()
        self._active: list[Sequence] = []
        self._ids = deque(range(program.sequences))
        self._room = {target.counter: target.slots for target in program.embed}
        self._credits = dict(self._room)
        self._freed = 0
        # No admission between a preemption and the next end of a sequence: the room is not there.
        self._crowded = False
        self._results = Results(program)

    def submit(self, prompt: Iterable[int], *, limit: int, logits: str = "last") -> Request:
        """Queue a request.

        Raises
        ------
        EngineError
            If the prompt is empty, too long for the context, or has ids outside the vocabulary, or
            if ``limit`` or ``logits`` is out of range.
        """
        prompt = tuple(prompt)
        if not prompt:
            raise EngineError("prompt must have at least one token")
        if len(prompt) > self.program.context:
            raise EngineError(f"prompt must be at most {self.program.context} tokens (the "
                              f"context), not {len(prompt)}")
        if bad := [t for t in prompt if not 0 <= t < self.program.vocab_size]:
            raise EngineError(f"token id must be between 0 and {self.program.vocab_size - 1}, "
                              f"not {bad[0]}")
        if logits not in ("none", "last", "all"):
            raise EngineError(f"logits must be none, last or all, not {logits!r}")
        if limit < 0:
            raise EngineError(f"limit must be at least 0, not {limit!r}")
        request = Request(prompt=prompt, limit=limit, logits=logits)
        self._waiting.append(request)
        return request

    async def run(self) -> None:
        """Serve until every submitted request has finished, its KV is free and nothing moves."""
        while self._waiting or self._active or self._credits != self._room:
            await self.step()

    async def step(self) -> None:
        """Inject what can go, then take one packet.

        Raises
        ------
        EngineError
            If the machine sends something that nobody asked for.
        """
        self._cancel()
        self._admit()
        while (token := self._next()) is not None:
            await self._inject(*token)
        if self._flying or self._credits != self._room:
            self._take(await self.link.recv())
        elif self._active:
            raise EngineError("nothing is under way and nothing can be injected")

    @property
    def _flying(self) -> int:
        return sum(len(sequence.flying) for sequence in self._active)

    # Admission

    def _cancel(self) -> None:
        for request in [request for request in self._waiting if request.cancelled]:
            self._waiting.remove(request)
            request.finished = "cancelled"
        for sequence in self._active:
            if sequence.request.cancelled and sequence.leaving is None:
                sequence.leaving = "cancelled"

    def _blocks(self, tokens: int) -> int:
        """KV blocks of a sequence in its fullest core."""
        blocks = -(-tokens // self.machine.block_tokens)
        return -(-blocks // self.program.kv_members)

    def _admit(self) -> None:
        while self._waiting and self._ids:
            request = self._waiting[0]
            length = len(request.prompt) + len(request.tokens)
            if self._blocks(length) > self.program.kv_sequence_blocks:
                # Not even alone: nobody has to make room for it in vain.
                self._waiting.popleft()
                request.finished = "kv_full"
                continue
            used = sum(self._blocks(s.length) for s in self._active)
            need = self._blocks(length + 1)
            if self._active and (
                    self._crowded
                    or used + need + self.headroom_blocks > self.program.kv_blocks):
                return
            self._waiting.popleft()
            self._active.append(Sequence(request, self._ids.popleft()))

    # Injection

    def _next(self) -> tuple[Sequence, int, int] | None:
        """Sequence, position and flags of the token to inject now, if any may."""
        if not all(self._credits.values()):
            return None
        if self.window is not None and self._flying >= self.window:
            return None
        for sequence in self._active:
            if sequence.leaving and not sequence.flying:
                return sequence, sequence.next, Flag.FREE | Flag.QUIET
        ready = [s for s in self._active if not s.leaving and s.rewind is None
                 and s.next < s.length]
        # Decode tokens first; min() keeps the order of admission among equals.
        chosen = min(ready, key=lambda s: s.next < len(s.request.prompt), default=None)
        if chosen is None:
            return None
        position, request = chosen.next, chosen.request
        last = position == chosen.length - 1
        flags = 0 if last else int(Flag.QUIET)
        if request.logits == "all":
            flags = int(Flag.STREAM)
        elif request.logits == "last" and position >= len(request.prompt) - 1:
            flags = int(Flag.STREAM)
        return chosen, position, flags

    async def _inject(self, sequence: Sequence, position: int, flags: int) -> None:
        for target in self.program.embed:
            self._credits[target.counter] -= 1
        sequence.flying[position] = self._freed
        self.injected += 1
        sequence.next = position + 1
        cycles = self.link.cycles
        if cycles is not None:
            sequence.request.start_cycles.setdefault(position, cycles)
        await self.link.send(token_packets(
            self.program, self.model, token=sequence.token(position), sequence=sequence.id,
            position=position, flags=flags))

    # Results

    def _take(self, packet: Packet) -> None:
        header = packet.header
        if header["kind"] == Kind.CREDIT:
            counter = header["counter"]
            if self._credits.get(counter) == self._room.get(counter):
                raise EngineError(f"expected no credit of counter {counter}, not {dict(header)}")
            self._credits[counter] += 1
            return
        sequence = next((s for s in self._active if s.id == header["sequence"]), None)
        if (header["kind"] != Kind.DATA or sequence is None
                or header["position"] not in sequence.flying):
            raise EngineError(f"expected a credit or a result, not {dict(header)}")
        try:
            result = self._results.take(packet)
        except ValueError as error:
            raise EngineError(str(error)) from error
        if result is not None:
            self._finish(sequence, result)

    def _finish(self, sequence: Sequence, result: Result) -> None:
        """A token is back."""
        position = result.position
        freed = sequence.flying.pop(position)
        if result.flags & Flag.FREE:
            self._free(sequence)
            return
        if result.flags & Flag.POISON:
            if sequence.rewind is None:
                sequence.rewind, sequence.refused_at = position, freed
            sequence.rewind = min(sequence.rewind, position)
            sequence.refused_at = min(sequence.refused_at, freed)
        elif ((sequence.rewind is None or position < sequence.rewind)
              and not sequence.request.cancelled):
            self._accept(sequence, result)
        self._settle(sequence)

    def _accept(self, sequence: Sequence, result: Result) -> None:
        request, position = sequence.request, result.position
        if result.logits is not None:
            request.vectors[position] = result.logits
        cycles = self.link.cycles
        if cycles is not None:
            request.finish_cycles[position] = cycles
        if position < sequence.length - 1:
            return
        if len(request.tokens) < request.limit:
            request.tokens.append(result.best)
            if self.on_token is not None:
                self.on_token(request, result.best)
        # The end comes before a preemption that was decided meanwhile.
        if request.tokens and request.tokens[-1] in self.stop_ids:
            sequence.leaving = "stop"
        elif len(request.tokens) >= request.limit:
            sequence.leaving = "length"
        elif sequence.length > self.program.context:
            sequence.leaving = "context"

    # Full cores

    def _settle(self, sequence: Sequence) -> None:
        """Decide about a sequence with refused tokens once nothing of it is under way."""
        if sequence.rewind is None or sequence.leaving or sequence.flying:
            return
        if self._blocks(sequence.rewind + 1) > self.program.kv_sequence_blocks:
            sequence.leaving = "kv_full"
        elif self._freed > sequence.refused_at:
            self._resume(sequence)
        elif not any(s.leaving for s in self._active):
            victim = self._active[-1]
            victim.leaving = "kv_full" if len(self._active) == 1 else "preempted"

    @staticmethod
    def _resume(sequence: Sequence) -> None:
        """Send the refused tokens again."""
        if sequence.rewind is not None:
            sequence.next, sequence.rewind = sequence.rewind, None

    def _free(self, sequence: Sequence) -> None:
        """The machine has freed the sequence's KV."""
        self._active.remove(sequence)
        self._ids.append(sequence.id)
        self._freed += 1
        request = sequence.request
        self._crowded = sequence.leaving == "preempted"
        if self._crowded:
            request.preemptions += 1
            self._waiting.appendleft(request)
        else:
            request.finished = sequence.leaving
        for other in self._active:
            if not other.flying and not other.leaving:
                self._resume(other)
