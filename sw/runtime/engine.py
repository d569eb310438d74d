"""Serves requests on a machine: tokens of many sequences through one pipeline."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hw.params.packet import Flag, Kind
from sw.errors import OuroborosError
from sw.golden.core.ni import Packet, data_packets, pack_vector, unpack_vector
from sw.mapper.program import EmbedTarget, Program
from sw.quantise.model import QuantModel
from sw.runtime.link import Link

__all__ = ["Engine", "EngineError", "Request"]

HOST_RESULT, HOST_LOGITS = range(2)
"""Operand numbers of packets to the host."""


class EngineError(OuroborosError):
    """A request that cannot be served, or a machine that misbehaves."""


@dataclass(slots=True, eq=False)
class Request:
    """One sequence: its prompt and what became of it."""

    prompt: tuple[int, ...]
    """Token ids, BOS included."""
    limit: int
    """Tokens to generate at most."""
    logits: str = "last"
    """Whose logits are streamed: ``none``, ``last`` (last prompt token and generated tokens) or
    ``all`` (every token)."""
    tokens: list[int] = field(default_factory=list)
    """Generated ids, the stop token included."""
    vectors: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict)
    """Logits by position, (vocab_size,)."""
    finished: str | None = None
    """Why it ended: ``stop``, ``length``, ``context``, ``kv_full`` or ``cancelled``."""
    preemptions: int = 0
    """How often its KV was given up and computed again."""
    finish_cycles: dict[int, int] = field(default_factory=dict)
    """Cycle in which the result of a position arrived."""
    _cancelled: bool = False

    def cancel(self) -> None:
        """End the request as soon as its tokens under way are back."""
        self._cancelled = True


@dataclass(slots=True, eq=False)
class _Sequence:
    """A request that holds a sequence id and KV."""

    request: Request
    id: int
    next: int = 0
    """Next position to inject."""
    done: int = 0
    """Positions whose results have been taken."""
    flying: int = 0
    rewind: int | None = None
    """Lowest poisoned position, once one is back."""
    leaving: str | None = None
    """Set when it is to be freed: the reason, or ``preempted``."""
    freeing: bool = False

    @property
    def text(self) -> list[int]:
        """Prompt and generated ids: what goes in, by position."""
        return [*self.request.prompt, *self.request.tokens]


class Engine:
    """Continuous batching, first come first served, with preemption.

    Tokens are injected as soon as the first stage has room: decode tokens of running sequences
    first, then prompt tokens of the oldest admitted sequence. A sequence is admitted only while the
    KV blocks of all, plus ``headroom_blocks``, fit. If a core was full all the same, the youngest
    sequence gives up its KV and starts again later.

    Parameters
    ----------
    link : Link
        Transport to a machine that is loaded with ``program``.
    model : QuantModel
        For embedding and RoPE rows, all that the host injects.
    stop_ids : sequence of int
        Ids that end a sequence.
    window : int, optional
        Most tokens under way at once; 1 sends them one at a time.
    headroom_blocks : int
        Blocks kept free for decode growth when a sequence is admitted.
    on_token : callable, optional
        Called with (request, id) for every generated token.
    """

    def __init__(self, link: Link, program: Program, model: QuantModel, *,
                 stop_ids: Sequence[int] = (), window: int | None = None,
                 headroom_blocks: int = 1,
                 on_token: Callable[[Request, int], None] | None = None):
        self.link, self.program, self.model = link, program, model
        self.machine = program.machine
        self.stop_ids = frozenset(stop_ids)
        self.window = window
        self.headroom_blocks = headroom_blocks
        self.on_token = on_token
        self.injected = 0
        self._waiting: deque[Request] = deque()
        self._active: list[_Sequence] = []
        self._ids = deque(range(program.sequences))
        self._credits = {target.counter: target.slots for target in program.embed}
        self._flying = 0
        self._parts: dict[tuple[int, int], dict[int, tuple[int, ...]]] = {}
        self._results: dict[tuple[int, int], tuple[int, int]] = {}

    def submit(self, prompt: Sequence[int], *, limit: int, logits: str = "last") -> Request:
        """Queue a request.

        Raises
        ------
        EngineError
            If the prompt is empty, too long for the context, or has ids outside the vocabulary.
        """
        if not prompt:
            raise EngineError("prompt must have at least one token")
        if len(prompt) > self.program.context:
            raise EngineError(f"prompt must be at most {self.program.context} tokens (the context), "
                              f"not {len(prompt)}")
        if bad := [t for t in prompt if not 0 <= t < self.program.vocab_size]:
            raise EngineError(f"token id must be below {self.program.vocab_size}, not {bad[0]}")
        if logits not in ("none", "last", "all"):
            raise EngineError(f"logits must be none, last or all, not {logits!r}")
        request = Request(prompt=tuple(prompt), limit=limit, logits=logits)
        self._waiting.append(request)
        return request

    async def run(self) -> None:
        """Serve until every submitted request has finished and its KV is free."""
        while self._waiting or self._active:
            await self.step()

    async def step(self) -> None:
        """Inject what can go, then take one packet."""
        self._admit()
        while (token := self._next()) is not None:
            await self._inject(*token)
            self._admit()
        if self._flying:
            self._take(await self.link.recv())

    # Admission

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.machine.block_tokens)

    def _admit(self) -> None:
        while self._waiting and self._ids:
            request = self._waiting[0]
            if request._cancelled:
                request.finished = "cancelled"
                self._waiting.popleft()
                continue
            used = sum(self._blocks(max(len(s.text), 1)) for s in self._active)
            need = self._blocks(len(request.prompt) + len(request.tokens) + 1)
            if self._active and used + need + self.headroom_blocks > self.program.kv_blocks:
                return
            self._waiting.popleft()
            self._active.append(_Sequence(request, self._ids.popleft()))

    # Injection

    def _next(self) -> tuple[_Sequence, int, int] | None:
        """Sequence, position and flags of the token to inject now, if any may."""
        if not all(self._credits.values()):
            return None
        if self.window is not None and self._flying >= self.window:
            return None
        for sequence in self._active:
            if sequence.leaving and not sequence.flying and not sequence.freeing:
                sequence.freeing = True
                return sequence, sequence.next, Flag.FREE | Flag.QUIET
        ready = [s for s in self._active if not s.leaving and s.rewind is None
                 and s.next < len(s.text)]
        # Decode tokens first; min() keeps the order of admission among equals.
        chosen = min(ready, key=lambda s: s.next < len(s.request.prompt), default=None)
        if chosen is None:
            return None
        position, request = chosen.next, chosen.request
        last = position == len(chosen.text) - 1
        flags = 0 if last else int(Flag.QUIET)
        if request.logits == "all":
            flags = int(Flag.STREAM)
        elif request.logits == "last" and position >= len(request.prompt) - 1:
            flags = int(Flag.STREAM)
        return chosen, position, flags

    async def _inject(self, sequence: _Sequence, position: int, flags: int) -> None:
        text = sequence.text
        row = self.model.embedding[text[position] if position < len(text) else 0]
        packets: list[Packet] = []
        for target in self.program.embed:
            self._credits[target.counter] -= 1
            packets += self._token_packets(target, row, sequence.id, position, flags)
        sequence.flying += 1
        self._flying += 1
        self.injected += 1
        sequence.next = position + 1
        await self.link.send(packets)

    def _token_packets(self, target: EmbedTarget, row: npt.NDArray[np.int16], sequence: int,
                       position: int, flags: int) -> list[Packet]:
        flit_bits = self.machine.noc.flit_bits
        vectors = [(0, row[target.first:target.first + target.channels])]
        if target.rope_offset >= 0:
            at = min(position, len(self.model.rope) - 1)
            vectors.append((target.rope_offset, self.model.rope[at]))
        return [packet for offset, vector in vectors
                for packet in data_packets(
                    pack_vector(vector, 16, flit_bits), src=self.machine.host, dst=target.core,
                    stage=target.stage, operand=0, sequence=sequence, position=position,
                    offset=offset, flags=flags)]

    # Results

    def _take(self, packet: Packet) -> None:
        header = packet.header
        if header["kind"] == Kind.CREDIT:
            self._credits[header["counter"]] += 1
        elif header["kind"] == Kind.DATA and header["operand"] == HOST_LOGITS:
            key = header["sequence"], header["position"]
            self._parts.setdefault(key, {})[header["offset"]] = packet.payload
            self._complete(key)
        elif header["kind"] == Kind.DATA and header["operand"] == HOST_RESULT:
            key = header["sequence"], header["position"]
            _, best = unpack_vector(packet.payload, 32, 2, self.machine.noc.flit_bits)
            self._results[key] = int(best), header["flags"]
            self._complete(key)
        else:
            raise EngineError(f"expected a credit or a result, not {dict(header)}")

    def _complete(self, key: tuple[int, int]) -> None:
        """Finish a token once its result and, if streamed, all its logits are here."""
        if key not in self._results:
            return
        best, flags = self._results[key]
        streamed = flags & Flag.STREAM and not flags & (Flag.FREE | Flag.POISON)
        vector = None
        if streamed:
            vector = self._vector(self._parts.get(key, {}))
            if vector is None:
                return
            self._parts.pop(key)
        del self._results[key]
        sequence = next(s for s in self._active if s.id == key[0])
        sequence.flying -= 1
        self._flying -= 1
        if flags & Flag.FREE:
            self._freed(sequence)
            return
        if flags & Flag.POISON:
            sequence.rewind = min(key[1], key[1] if sequence.rewind is None else sequence.rewind)
        elif sequence.rewind is None and not sequence.leaving:
            self._accept(sequence, key[1], best, vector)
        self._settle(sequence)

    def _vector(self, parts: dict[int, tuple[int, ...]]) -> npt.NDArray[np.int32] | None:
        """All logits, or None while some are missing."""
        flit_bits = self.machine.noc.flit_bits
        per_flit = flit_bits // 32
        vector = np.zeros(self.program.vocab_size, np.int32)
        expected = sum(-(-count // per_flit) for _, _, count in self.program.logit_slices)
        if sum(len(payload) for payload in parts.values()) < expected:
            return None
        for offset, payload in parts.items():
            values = unpack_vector(payload, 32, len(payload) * per_flit, flit_bits)
            start = offset * per_flit
            vector[start:start + len(values)] = values[:len(vector) - start]
        return vector

    def _accept(self, sequence: _Sequence, position: int, best: int,
                vector: npt.NDArray[np.int32] | None) -> None:
        request = sequence.request
        sequence.done = position + 1
        if vector is not None:
            request.vectors[position] = vector
        cycles = self.link.cycles
        if cycles is not None:
            request.finish_cycles[position] = cycles
        if position == len(sequence.text) - 1 and len(request.tokens) < request.limit:
            request.tokens.append(best)
            if self.on_token is not None:
                self.on_token(request, best)
        if position >= len(request.prompt) - 1:
            if request.tokens and request.tokens[-1] in self.stop_ids:
                sequence.leaving = "stop"
            elif len(request.tokens) >= request.limit:
                sequence.leaving = "length"
            elif len(sequence.text) > self.program.context:
                sequence.leaving = "context"

    def _settle(self, sequence: _Sequence) -> None:
        """Cancel, preempt or rewind once nothing of the sequence is under way."""
        if sequence.request._cancelled and not sequence.leaving:
            sequence.leaving = "cancelled"
        if sequence.rewind is None or sequence.leaving or sequence.flying:
            return
        victim = self._active[-1]
        if victim is sequence and len(self._active) == 1:
            sequence.leaving = "kv_full"
            return
        if not any(s.leaving for s in self._active):
            victim.leaving = "preempted"
        if victim is not sequence:
            # Sent again once the victim's blocks are free; see ``_freed``.
            sequence.next = sequence.rewind

    def _freed(self, sequence: _Sequence) -> None:
        """The machine has freed the sequence's KV."""
        self._active.remove(sequence)
        self._ids.append(sequence.id)
        request = sequence.request
        if sequence.leaving == "preempted":
            request.preemptions += 1
            self._waiting.appendleft(request)
        else:
            request.finished = sequence.leaving
        for other in self._active:
            if other.rewind is not None and not other.flying:
                other.next, other.rewind = other.rewind, None
