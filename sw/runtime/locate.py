"""Where a machine began to differ from the golden one: stage, core, unit, word, cycle."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ouroboros.hw.params.isa import SCALAR_FUNCTIONS, Fn, Op, Type
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import STAGE_ENTRY, Unit
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.sfu import writes_c
from ouroboros.sw.golden.array import local_tokens
from ouroboros.sw.golden.core import GoldenCore
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.golden.machine import GoldenLink
from ouroboros.sw.golden.sfu import DTYPES
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.device import Device
from ouroboros.sw.runtime.difference import Difference, Sent, first_difference
from ouroboros.sw.runtime.job import Backend, Job, Progress
from ouroboros.sw.runtime.request import Request
from ouroboros.sw.runtime.sampling import Sampling, next_token

__all__ = ["Golden", "Place", "first_wrong", "locate", "shortened"]

ARRAY = (Op.MVM, Op.SCORE, Op.CONTEXT)
"""Instructions whose sums the SFU drains."""
Slot = tuple[Position, int]
"""Core and stage that a token is in."""
WORD = np.dtype("<u4")
"""Words of what no instruction of the stage has written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The first thing that a core sent and should not have; all that it was sent was right."""

    sequence: int
    """Sequence id in the machine."""
    position: int
    """The token, counted from 0."""
    stage: str
    """Name of the stage."""
    core: Position
    """Where it runs."""
    unit: str
    """Which unit made the word, by which instruction; or that it was passed on."""
    what: str
    """What differs: ``word``, ``flags``, or ``packet`` (it was never sent)."""
    word: int | None
    """Buffer word in the token's slot."""
    element: int | None
    """Element of the vector that was sent, of ``kind``."""
    kind: str | None
    """Type of the element."""
    expected: int | None
    """Its value in the golden machine."""
    got: int | None
    """Its value here."""
    cycle: int | None
    """When it left the core in the run that was looked at; None without a clock."""
    tokens: int
    """Tokens that each request generates at most in that run."""

    def text(self) -> str:
        """In words."""
        left = "" if self.cycle is None else f"; it left the core at cycle {self.cycle:,}"
        where = (f"sequence {self.sequence}, token {self.position}, stage {self.stage}, "
                 f"core {self.core}")
        if self.what == "packet":
            return f"{where}: a packet of {self.unit} was never sent"
        if self.what == "flags":
            return f"{where}: flags are {self.got}, expected {self.expected}{left}"
        return (f"{where}, {self.unit}: word {self.word}, element {self.element} ({self.kind}) is "
                f"{self.got}, expected {self.expected}{left}")


def locate(job: Job, requests: Sequence[Request], run: Backend,
           progress: Progress = lambda what, done, total: None) -> Place | None:
    """Run a job again, as far as the first token that differs, and hold every packet of every core
    against the golden machine's for the same tokens.

    Parameters
    ----------
    requests : sequence of Request
        What came of the job when it ran before.
    run : callable
        What ran it; with ``Job.tap`` it gives ``JobResult.sent`` and ``injected``.

    Returns
    -------
    Place or None
        None if nothing differs in the second run.
    """
    wrong = first_wrong(job.model, requests, job.sampling)
    if wrong is None:
        return None
    short = shortened(job, *wrong)
    result = run(replace(short, tap=True, observe=False, told=False), progress)
    if result.interrupted:
        raise KeyboardInterrupt
    golden = Golden(job.program)
    found = first_difference(golden.sent(result.injected), result.sent)
    return None if found is None else replace(
        golden.place(found), tokens=max(spec.limit for spec in short.requests))


def first_wrong(model: QuantModel, requests: Sequence[Request],
                sampling: Sampling | None = None) -> tuple[int, int] | None:
    """Request and position of the earliest logits or token that are not the golden decoder's."""
    decoder = IntegerDecoder(model)
    found = []
    for n, request in enumerate(requests):
        text = [*request.prompt, *request.tokens]
        golden = np.asarray(decoder.prefill(n, text))
        last = len(request.prompt) - 1
        wrong = [position for position in range(len(text))
                 if (position in request.vectors
                 and not np.array_equal(request.vectors[position], golden[position]))
                 or (0 <= position - last < len(request.tokens)
                 and request.tokens[position - last] != next_token(
                     sampling, golden[position], n, position))]
        if wrong:
            time = request.finish_times.get(wrong[0], wrong[0])
            found.append((time, n, wrong[0]))
    return min(found)[1:] if found else None


def shortened(job: Job, number: int, position: int) -> Job:
    """The job, only as far as it takes to compute ``position`` of request ``number``."""
    limit = max(1, position - len(job.requests[number].prompt) + 2)
    return replace(job, requests=tuple(
        replace(spec, limit=min(limit, spec.limit)) for spec in job.requests))


class Golden:
    """A golden machine that computes tokens one after the other, so that what it sends comes in the
    order of data flow.

    Parameters
    ----------
    program : Program
        What it is loaded with.
    """

    def __init__(self, program: Program):
        self.program, self.machine = program, program.machine
        link = GoldenLink(program.machine)
        self.golden = link.golden
        for packet in Device(link, program).load_packets():
            self.golden.send(packet)
        # What the token has been sent that means something: flits of its slots.
        self._received: dict[Slot, set[int]] = defaultdict(set)

    def sent(self, injected: Iterable[Packet]) -> list[Sent]:
        """Data packets of all cores for these packets of the host."""
        sent: list[Sent] = []

        def watch(packet: Packet, stage: int, at: int) -> None:
            junk = self._junk(packet, stage, at)
            sent.append(Sent(packet, stage=stage, at=at, junk=junk))
            for core in self.golden.receivers(packet):
                self._receive(core, packet, junk)

        self.golden.watch = watch
        token = None
        for packet in injected:
            header = packet.header
            if token != (header["sequence"], header["position"]):
                # The one before has come to its end.
                token = header["sequence"], header["position"]
                self._received.clear()
            self._receive((header["dst_x"], header["dst_y"]), packet)
            self.golden.send(packet)
        return sent

    def _receive(self, core: Position, packet: Packet,
                 junk: frozenset[int] = frozenset()) -> None:
        header = packet.header
        self._received[core, header["stage"]] |= {
            header["offset"] + n for n in range(len(packet.payload)) if n not in junk}

    def _junk(self, packet: Packet, stage: int, at: int) -> frozenset[int]:
        """Payload flits that the token was not sent, nor any instruction that it executes wrote."""
        header = packet.header
        place = header["src_x"], header["src_y"]
        core = self.golden.cores[place]
        _, fields = core.tables.instruction(at)
        received = self._received[place, stage]
        per_word, junk = self.machine.flits_per_word, set()
        for n in range(len(packet.payload)):
            flit = fields["src"] * per_word + header["offset"] - fields["dst"] + n
            if flit not in received and _writer(core, packet, stage, at, flit // per_word,
                                                self.machine) is None:
                junk.add(n)
        return frozenset(junk)

    def place(self, found: Difference) -> Place:
        """Names of a difference."""
        wanted, header = found.expected, found.expected.packet.header
        core = self.golden.cores[found.core]
        _, fields = core.tables.instruction(wanted.at)
        flit = header["offset"] - fields["dst"] + (found.flit or 0)
        word = fields["src"] + flit // self.machine.flits_per_word
        unit, dtype = _writer(core, wanted.packet, wanted.stage, wanted.at, word,
                              self.machine) or (
            f"send unit, instruction {wanted.at} (passed on as it came)", WORD)
        place = Place(
            sequence=header["sequence"], position=header["position"],
            stage=next(info.name for info in self.program.stages
                       if (info.core, info.index) == (found.core, wanted.stage)),
            core=found.core, unit=unit, what="word", word=word, element=None, kind=None,
            expected=None, got=None, cycle=None, tokens=0)
        if found.got is None:
            return replace(place, what="packet", word=None)
        cycles = found.got.cycles
        if found.flit is None:
            return replace(place, what="flags", word=None, expected=header["flags"],
                           got=found.got.packet.header["flags"],
                           cycle=cycles[0] if cycles else None)
        size = self.machine.noc.flit_bits // 8
        values = [np.frombuffer(sent.packet.payload[found.flit].to_bytes(size, "little"), dtype)
                  for sent in (wanted, found.got)]
        lane = int(np.flatnonzero(values[0] != values[1])[0])
        return replace(place, element=flit * len(values[0]) + lane, kind=dtype.name,
                       expected=int(values[0][lane]), got=int(values[1][lane]),
                       cycle=cycles[found.flit + 1] if cycles else None)


def _writer(core: GoldenCore, packet: Packet, stage: int, send: int, word: int,
            machine: Machine) -> tuple[str, np.dtype[Any]] | None:
    """The instruction that wrote a word before it was sent, and its type of elements."""
    entry = core.tables.entry(Unit.STAGE, stage, STAGE_ENTRY)
    flags, header = packet.header["flags"], packet.header
    found, sums = None, ""
    for at in range(entry["program"], send):
        op, fields = core.tables.instruction(at)
        if flags & fields["skip"] or flags & fields["need"] != fields["need"]:
            continue
        if op in ARRAY:
            sums = op.name
        if op is Op.SFU:
            length = fields["length"]
            if fields["tokens"] and core.array.kv is not None:
                length = local_tokens(machine, core.array.kv.settings, header["position"],
                                      header["sequence"])
            vectors, scalar = _words(fields, length, machine)
            drained = f" of the array's {sums}" if fields["a_array"] else ""
            name = f"SFU instruction {at}, {Fn(fields['fn']).name}{drained}"
            if any(word in vector for vector in vectors):
                found = name, DTYPES[Type(fields["d_type"])]
            elif word in scalar:
                found = name, DTYPES[Type.I32]
    return found


def _words(fields: Mapping[str, int], length: int, machine: Machine) -> tuple[list[range], range]:
    """Words of the vectors and of the scalar that an SFU instruction writes."""
    if fields["fn"] in SCALAR_FUNCTIONS:
        return [], range(fields["d_addr"], fields["d_addr"] + 1)
    per_word = 4 * machine.core.lanes // DTYPES[Type(fields["d_type"])].itemsize
    starts = [fields[name] for name in ("d_addr", *["b_addr"] * fields["digits"])]
    vectors = [range(start, start - (-length // per_word)) for start in starts]
    scalar = range(fields["c_addr"], fields["c_addr"] + writes_c(fields["fn"], fields["track"]))
    return vectors, scalar
