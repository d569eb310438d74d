"""One stage of a block: slot layout, program, flows to other stages, without weights."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type, assemble, disassemble
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.macros import MatrixPass, MatrixPlan
from ouroboros.sw.block.sizes import Sizes
from ouroboros.sw.block.tensors import Matrix, Param
from ouroboros.sw.noc.routes.xy import is_core
from ouroboros.sw.program.image import Instruction, Stage
from ouroboros.sw.program.program import StageInfo

__all__ = ["EFFECTLESS", "Area", "BlockStage", "Flow", "Operation", "StageDraft", "StageKey",
           "Step"]

EFFECTLESS = Flag.FREE | Flag.POISON
"""Tokens that compute nothing; their packets are sent all the same, so that every count holds."""

Operation = Callable[[int, int, bool], None]
"""Takes outputs ``start .. start + count`` of a segment, and whether they are the last."""

StageKey = tuple[Position, int]
"""A stage by its core and its number there; (host's port, counter) is the host."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a SEND goes."""

    targets: tuple[StageKey, ...]
    """Stages that receive, or the host."""
    operand: int
    """Operand that its packets count for."""
    reserve: tuple[StageKey, ...] = ()
    """Stages in which it first takes a slot for the token: this stage owns their slots."""
    data: str = ""
    """What it carries: the area that it goes to."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction; fields that only weights or addresses in tables decide are 0.

    Those are ``dest`` of a SEND, and ``param`` and ``shift`` of an SFU instruction with parameters.
    """

    instruction: Instruction
    """All that costs cycles or moves bytes."""
    flow: Flow | None = None
    """Of a SEND."""
    param: Param | None = None
    """Of an SFU instruction."""
    word: int = 0
    """Its first parameter is in this word of ``param``."""
    matrix: int | None = None
    """Of an MVM: number of its matrix in ``BlockStage.matrices``."""


@dataclass(frozen=True, slots=True)
class BlockStage:
    """A stage without weights."""

    info: StageInfo
    """Name, core and slots."""
    words: int
    """Buffer words of one token slot."""
    steps: tuple[Step, ...]
    """Its program, END included."""
    owners: tuple[StageKey, ...]
    """Who reserves its slots."""
    matrices: tuple[tuple[Matrix, MatrixPlan], ...]
    """Weights, and how they lie in the core's macros."""
    kv: dict[str, int] | None
    """``KV_CONFIG`` of its core."""

    @property
    def key(self) -> StageKey:
        """By which others send to it."""
        return self.info.core, self.info.index

    def costed(self) -> Stage:
        """As ``sw.perf.cycles`` wants it."""
        return Stage(info=self.info, code=tuple(step.instruction for step in self.steps), dests={},
                     owners=(), kv=self.kv)


@dataclass(frozen=True, slots=True)
class Area:
    """A vector within a slot."""

    word: int
    """Word address."""
    kind: Type
    """Of its elements."""


@dataclass(slots=True)
class _Draft:
    """An instruction whose WAIT may not be known yet."""

    op: Op
    fields: dict[str, int]
    flow: Flow | None = None
    param: Param | None = None
    word: int = 0
    matrix: int | None = None


@dataclass(slots=True)
class StageDraft:
    """Collects a stage's program; ``finish`` once all flows of the model are known.

    The slots of a stage are handed out by one owner: the stage (or the host) that reserves them,
    by taking a credit, before any packet of the token can be on its way there. Others send to the
    token's slot without credits. So tokens may overtake each other anywhere (those that compute
    nothing do) and a packet still finds its slot.
    """

    machine: Machine
    """Sizes."""
    info: StageInfo
    """Name, core and slots."""
    kv: dict[str, int] | None = None
    """``KV_CONFIG`` of its core."""
    areas: dict[str, Area] = field(default_factory=dict)
    """Vectors of a slot by name."""
    packets: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """Packets that arrive for each operand."""
    owners: list[StageKey] = field(default_factory=list)
    """Who reserves its slots."""
    words_used: int = 0
    """Words of a slot so far."""
    matrices: list[tuple[Matrix, MatrixPlan]] = field(default_factory=list)
    """Weights so far."""
    sizes: Sizes = field(init=False)
    """Words and flits."""
    _steps: list[_Draft] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizes = Sizes(self.machine)

    @property
    def key(self) -> StageKey:
        """By which others send to it."""
        return self.info.core, self.info.index

    # Slot layout

    def area(self, name: str, elements: int, kind: Type) -> None:
        """Room for a vector."""
        self.areas[name] = Area(self.words_used, kind)
        self.words_used += self.words(elements, kind)

    def overlay(self, name: str, area: str, words: int, kind: Type) -> None:
        """A vector in the place of another one, ``words`` from where that begins."""
        self.areas[name] = Area(self.areas[area].word + words, kind)

    def cut_slots(self, slots: int) -> None:
        """Change the number of slots, before anyone reserves them."""
        assert not self.owners, "slots are reserved by their number"
        self.info = replace(self.info, slots=slots)

    def words(self, elements: int, kind: Type) -> int:
        """Words of a vector."""
        return self.sizes.words(elements, kind)

    def flits(self, elements: int, kind: Type) -> int:
        """Flits of a vector."""
        return self.sizes.flits(elements, kind)

    def at(self, area: str, element: int = 0) -> int:
        """Word address of an element of an area; it must begin a word."""
        place = self.areas[area]
        offset = element * place.kind.bytes
        assert offset % self.sizes.word == 0, f"element {element} of {area} does not begin a word"
        return place.word + offset // self.sizes.word

    def flit_offset(self, area: str, element: int = 0) -> int:
        """Flit address of an element of an area; it must begin a flit."""
        place, flit = self.areas[area], self.machine.noc.flit_bits // 8
        offset = element * place.kind.bytes
        assert offset % flit == 0, f"element {element} of {area} does not begin a flit"
        return place.word * (self.sizes.word // flit) + offset // flit

    # Program

    def emit(self, op: Op, *, skip: int = EFFECTLESS, need: int = 0, flow: Flow | None = None,
             param: tuple[Param, int] | None = None, matrix: int | None = None,
             **fields: int) -> None:
        """Append an instruction that by default does nothing for effectless tokens."""
        named, word = param or (None, 0)
        self._steps.append(_Draft(op, {"skip": skip, "need": need, **fields}, flow, named, word,
                                  matrix))

    def wait(self, operand: int) -> None:
        """Wait for every packet of an operand; the number is known when the model is complete."""
        self.emit(Op.WAIT, skip=0, operand=operand)

    def sfu(self, fn: Fn, *, length: int = 0, skip: int = EFFECTLESS, need: int = 0,
            a: int | None = None, a_type: Type = Type.I32, b: int = 0, b_mode: BMode = BMode.NONE,
            b_wrap: int = 0, c: int = 0, d: int = 0, d_type: Type = Type.I32,
            param: tuple[Param, int] | None = None, shift: int = 0, m_mode: MMode = MMode.UNITY,
            wide: bool = False, track: Track = Track.NONE, release: bool = False,
            tokens: bool = False, digits: bool = False, less: bool = False,
            magnitude: bool = False) -> None:
        """Append a vector operation; ``a`` None takes the drain stream."""
        self.emit(Op.SFU, skip=skip, need=need, param=param, fn=fn, a_array=int(a is None),
                  a_type=a_type, a_addr=a or 0, b_mode=b_mode, b_addr=b, b_wrap=b_wrap, c_addr=c,
                  d_type=d_type, d_addr=d, length=length, shift=shift, m_mode=m_mode,
                  wide=int(wide), track=track, release=int(release), tokens=int(tokens),
                  digits=int(digits), less=int(less), magnitude=int(magnitude))

    def matrix(self, matrix: Matrix, plan: MatrixPlan, src: int,
               segments: Sequence[tuple[int, int, Operation]], *, skip: int = EFFECTLESS) -> None:
        """Multiply the vector at ``src`` and hand its outputs to the segments.

        A segment is (first output, length, operation); ``operation(start, count, release)`` emits
        the SFU instruction for outputs ``start .. start + count`` of the segment.
        """
        self.matrices.append((matrix, plan))
        for step in plan.passes:
            self.one_pass(step, src, segments, skip=skip)

    def one_pass(self, step: MatrixPass, src: int,
                 segments: Sequence[tuple[int, int, Operation]], *,
                 skip: int = EFFECTLESS) -> None:
        """One MVM of the matrix that came last, as ``matrix`` has it."""
        # Row tiles lie in neighbouring macros.
        macros, inputs = step.loads[0][2], step.loads[-1][1]
        assert [mask for _, _, mask in step.loads] == [
            macros << n for n in range(len(step.loads))], "a row tile has the macros one further on"
        several = len(step.loads) > 1
        self.emit(Op.LOAD, skip=skip, src=src, length=inputs, offset=0, macros=macros,
                  tiles=len(step.loads) if several else 0,
                  tile=step.loads[1][0] // self.sizes.word if several else 0)
        self.emit(Op.MVM, skip=skip, first_group=step.first_group, step=step.step,
                  steps=step.steps, macros=step.macros, matrix=len(self.matrices) - 1)
        parts = [(max(first, step.low), min(first + length, step.high), first, operation)
                 for first, length, operation in segments]
        parts = [part for part in parts if part[0] < part[1]]
        for low, high, first, operation in parts:
            operation(low - first, high - low, high == parts[-1][1])

    # Flows

    def send(self, targets: "Sequence[StageDraft]", *, operand: int, src: int, flits: int,
             area: str, element: int = 0,
             reserve: "Sequence[StageDraft] | None" = None) -> None:
        """Send ``flits`` from word ``src`` to an area of the token's slot at every target.

        ``element`` is where in the area the vector begins; a multicast has one address for all, so
        the area must lie at the same place in every target. With ``reserve``, waits until all
        those stages have room for the token, and reserves it; this stage then is their owner.
        """
        for target in targets:
            target.packets[operand] += -(-flits // PAYLOAD_FLITS_MAX)
        for stage in reserve or ():
            stage.owners.append(self.key)
        mesh, reserved = self.machine.mesh, tuple(stage.key for stage in reserve or ())
        cores = [t for t in targets if is_core(t.info.core, mesh)]
        # Multicasts end in cores: whoever is at an edge port is sent to alone.
        for group in ([cores] if cores else []) + [[t] for t in targets if t not in cores]:
            places = {(t.info.index, t.flit_offset(area, element)) for t in group}
            assert len(places) == 1, f"{area} must have one place in all targets, not {places}"
            [(_, dst)] = places
            self.emit(Op.SEND, skip=0, src=src, flits=flits, dst=dst, acquire=int(bool(reserved)),
                      flow=Flow(tuple(t.key for t in group), operand, reserved, area))
            reserved = ()

    def report(self, host: Position, *, operand: int, src: int, flits: int, dst: int,
               skip: int = 0, need: int = 0) -> None:
        """Send to the host, which always has room; ``dst`` is for the host to make sense of."""
        self.emit(Op.SEND, skip=skip, need=need, src=src, flits=flits, dst=dst,
                  flow=Flow(((host, 0),), operand))

    def finish(self) -> BlockStage:
        """The stage.

        Raises
        ------
        BlockError
            If a field is too large for its place in the instruction.
        """
        assert len(self.owners) == 1, f"{self.info.name} must have one owner, not {self.owners}"
        self.emit(Op.END, skip=0)
        return BlockStage(info=self.info, words=max(self.words_used, 1), kv=self.kv,
                          steps=tuple(self._step(draft) for draft in self._steps),
                          owners=tuple(self.owners), matrices=tuple(self.matrices))

    def _step(self, draft: _Draft) -> Step:
        fields = dict(draft.fields)
        if draft.op is Op.WAIT:
            fields["packets"] = self.packets[fields["operand"]]
        try:
            instruction = _instruction(draft.op, tuple(fields.items()))
        except ValueError as error:
            raise BlockError(f"core {self.info.core}: {draft.op.name} of stage {self.info.name}: "
                             f"{error}") from error
        return Step(instruction, draft.flow, draft.param, draft.word, draft.matrix)


@functools.cache
def _instruction(op: Op, fields: tuple[tuple[str, int], ...]) -> Instruction:
    """As it is read back from a core; stages of one kind have the same ones."""
    return Instruction(*disassemble(assemble(op, **dict(fields))))
