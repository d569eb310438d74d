"""Serves requests on a machine: decisions of the scheduler as packets, packets as its events."""

from collections.abc import Callable, Iterable

from ouroboros.hw.params.packet import Flag, Kind
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.guess import Early, looked_up
from ouroboros.sw.runtime.link import Link
from ouroboros.sw.runtime.request import Request
from ouroboros.sw.runtime.results import Result, Results
from ouroboros.sw.runtime.rows import token_packets
from ouroboros.sw.runtime.sampling import Logits
from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.serving.request import Sequence
from ouroboros.sw.serving.scheduler import Scheduler, Step, Verdict

__all__ = ["Engine", "EngineError", "Request", "book_of", "flags_of", "room_of"]


class EngineError(OuroborosError):
    """A request that cannot be served, or a machine that misbehaves."""


class Engine:
    """Serves requests as ``sw.serving.scheduler`` decides.

    Parameters
    ----------
    link : Link
        Transport to a machine that is loaded with ``program``.
    model : QuantModel
        For embedding and RoPE rows, all that the host injects.
    stop_ids : iterable of int
        Ids that end a sequence.
    options : ServingOptions
        Policy.
    clock : callable, optional
        What time it is, in the unit of requests' times; by default the link's cycles.
    looked : callable, optional
        Called before tokens go in, and once all that can have.
    on_token : callable, optional
        Called with (request, id) for every generated token.
    choose : callable, optional
        The token after a position, from (request, position, logits); the machine's own without it.
    ended : callable, optional
        Called with (request, id) of a token before it counts: whether it ends the text, too.

    Raises
    ------
    EngineError
        If the policy asks for what no machine can do.
    """

    def __init__(self, link: Link, program: Program, model: QuantModel, *,
                 stop_ids: Iterable[int] = (), options: ServingOptions | None = None,
                 clock: Callable[[], int | None] | None = None,
                 looked: Callable[[], None] | None = None,
                 on_token: Callable[[Request, int], None] | None = None,
                 choose: Callable[[Request, int, Logits], int] | None = None,
                 ended: Callable[[Request, int], bool] | None = None):
        self.link, self.program, self.model = link, program, model
        self.stop_ids = frozenset(stop_ids)
        self.on_token, self.choose, self.ended = on_token, choose, ended
        self.clock = clock or (lambda: link.cycles)
        self.looked = looked
        self.options = options or ServingOptions()
        if self.options.swap_cost is not None:
            raise EngineError("swap_cost must not be given: cores have no way to send KV back to "
                              "the host, so what gives way is computed again")
        self.scheduler: Scheduler[Request] = Scheduler(
            book_of(program, self.options), room_of(program), sequences=program.sequences,
            context=program.context, options=self.options)
        self.results = Results(program)
        self._early = Early()

    @property
    def injected(self) -> int:
        """Tokens sent to the machine so far, control tokens and those sent again included."""
        return self.scheduler.injected

    def submit(self, prompt: Iterable[int], *, limit: int, logits: str = "last",
               priority: int = 0, deadline: int | None = None,
               arrival: int | None = None) -> Request:
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
        if logits == "none" and self.choose is not None:
            raise EngineError("logits must be last or all where tokens are drawn from them, "
                              "not 'none'")
        if limit < 0:
            raise EngineError(f"limit must be at least 0, not {limit!r}")
        request = Request(prompt=prompt, limit=limit, logits=logits, priority=priority,
                          deadline=deadline, arrival=arrival)
        self.scheduler.submit(request, self.clock())
        self._guess(request)
        return request

    async def run(self) -> None:
        """Serve until every submitted request has finished, its KV is free and nothing moves."""
        while not self.scheduler.idle:
            await self.step()

    def restart(self, program: Program, kept: Callable[[Sequence[Request]], int]) -> int:
        """Go on with another program on a machine that has lost its tokens; see ``Scheduler``."""
        self.program, self.results = program, Results(program)
        self._early.clear()
        return self.scheduler.restart(room_of(program), book_of(program, self.options), kept)

    async def step(self) -> None:
        """Inject what can go, then take one packet.

        Raises
        ------
        EngineError
            If the machine sends something that nobody asked for.
        """
        scheduler = self.scheduler
        scheduler.admit(self.clock())
        self.look()
        while (step := scheduler.next()) is not None:
            await self._inject(step)
        self.look()
        if scheduler.owed:
            self._take(await self.link.recv())
        elif scheduler.active:
            raise EngineError("nothing is under way and nothing can be injected")

    def look(self) -> None:
        """Let whoever measures have a look."""
        if self.looked is not None:
            self.looked()

    async def _inject(self, step: Step[Request]) -> None:
        self.scheduler.inject(step, self.clock())
        sequence = step.sequence
        await self.link.send(token_packets(
            self.program, self.model, token=sequence.request.token(step.position),
            sequence=sequence.id, position=step.position, flags=flags_of(step)))

    def _take(self, packet: Packet) -> None:
        header = packet.header
        if header["kind"] == Kind.CREDIT:
            try:
                self.scheduler.credits.give(header["counter"])
            except ValueError as error:
                raise EngineError(f"{error}: {dict(header)}") from error
            return
        sequence = None
        if header["kind"] == Kind.DATA:
            sequence = self.scheduler.find(header["sequence"], header["position"])
        if sequence is None:
            raise EngineError(f"expected a credit or a result, not {dict(header)}")
        try:
            result = self.results.take(packet)
        except ValueError as error:
            raise EngineError(str(error)) from error
        if result is not None:
            self._finish(sequence, result)

    def _finish(self, sequence: Sequence[Request], result: Result) -> None:
        """A token is back."""
        if result.flags & Flag.FREE:
            self.scheduler.freed(sequence)
        elif result.flags & Flag.POISON:
            self.scheduler.refused(sequence, result.position)
        elif result.position >= sequence.request.length:
            self._early.add(result)
        else:
            self._computed(sequence, result)
        self._look_early(sequence)

    def _look_early(self, sequence: Sequence[Request]) -> None:
        """Results of guesses that have turned out to count, or not to."""
        request = sequence.request
        while due := next(self._early.due(
                sequence.id, request.length,
                0 if sequence.leaving or request.cancelled else sequence.rewind), None):
            self._computed(sequence, due)

    def _computed(self, sequence: Sequence[Request], result: Result) -> None:
        request, token, stops = sequence.request, result.best, False
        # Of other tokens it is known already what follows.
        if result.position == request.length - 1:
            if self.choose is not None and result.logits is not None:
                token = self.choose(request, result.position, result.logits)
            stops = token in self.stop_ids or (
                self.ended is not None and self.ended(request, token))
        verdict = self.scheduler.done(sequence, result.position, stops=stops, now=self.clock())
        if verdict is not Verdict.IGNORED and result.logits is not None:
            request.vectors[result.position] = result.logits
        if verdict is Verdict.GENERATED:
            request.tokens.append(token)
            self._confirm(sequence, token)
            if self.on_token is not None:
                self.on_token(request, token)

    def _guess(self, request: Request) -> None:
        """Look up what may follow, as far as it may go in."""
        if not self.options.speculate:
            return
        text = [*request.prompt, *request.tokens, *request.guesses]
        request.guesses += looked_up(text, self.options.speculate - len(request.guesses))
        del request.guesses[self.scheduler.guess(request, len(request.guesses)):]

    def _confirm(self, sequence: Sequence[Request], token: int) -> None:
        """Hold a token that is known now against the guess."""
        request = sequence.request
        # Guesses that found no room are none any more.
        del request.guesses[request.ahead:]
        if request.guesses:
            right = request.guesses[0] == token
            self.scheduler.confirmed(sequence, right=right)
            request.guesses = request.guesses[1:] if right else []
        if not sequence.leaving:
            self._guess(request)


def book_of(program: Program, options: ServingOptions) -> KvBook:
    """KV of the machine that a program makes."""
    return KvBook(block_tokens=program.machine.block_tokens, members=program.kv_members,
                  blocks=program.kv_blocks, sequence_blocks=program.kv_sequence_blocks,
                  ring=program.machine.kv.ring, static_tokens=options.static_tokens)


def room_of(program: Program) -> dict[int, int]:
    """Tokens that the first stage has room for, by credit counter."""
    return {target.counter: target.slots for target in program.embed}


def flags_of(step: Step[Request]) -> int:
    """Flags of a token: logits are computed only where someone wants to know them, and what may
    turn out to be the last one's are.
    """
    request = step.sequence.request
    if step.free:
        return Flag.FREE | Flag.QUIET
    if request.logits == "all" or (
            request.logits == "last" and step.position >= request.prompt_tokens - 1):
        return Flag.STREAM
    return 0 if step.position >= request.length - 1 else Flag.QUIET
