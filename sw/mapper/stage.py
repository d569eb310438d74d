"""One stage under construction: slot layout, program, flows to other stages."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ouroboros.hw.params.isa import BMode, Fn, MMode, Op, Track, Type, assemble
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import Flag
from ouroboros.hw.params.position import Position
from ouroboros.sw.mapper.core import CoreBuilder
from ouroboros.sw.mapper.labels import LabelAllocator
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.macros import MatrixPlan
from ouroboros.sw.mapper.ways import Ways
from ouroboros.sw.program.program import StageInfo

__all__ = ["EFFECTLESS", "Area", "Operation", "StageBuilder"]

EFFECTLESS = Flag.FREE | Flag.POISON
"""Tokens that compute nothing; their packets are sent all the same, so that every count holds."""

Operation = Callable[[int, int, bool], None]
"""Takes outputs ``start .. start + count`` of a segment, and whether they are the last."""


class Area(int):
    """Word address of a vector within a slot."""

    kind: Type
    """Of its elements."""

    def __new__(cls, word: int, kind: Type) -> "Area":
        """An area at ``word``."""
        area = super().__new__(cls, word)
        area.kind = kind
        return area


class StageBuilder:
    """Collects a stage's program; call ``finish`` once all flows of the model are known.

    The slots of a stage are handed out by one owner: the stage (or the host) that reserves them,
    by taking a credit, before any packet of the token can be on its way there. Others send to the
    token's slot without credits. So tokens may overtake each other anywhere (those that compute
    nothing do) and a packet still finds its slot.

    Parameters
    ----------
    core : CoreBuilder
        Where it runs.
    labels : LabelAllocator
        Multicast labels of the mesh.
    ways : Ways, optional
        Ways of unicast packets; by default all go XY.
    """

    def __init__(self, core: CoreBuilder, labels: LabelAllocator, ways: Ways | None = None, *,
                 name: str, kind: str, layer: int, index: int, slots: int):
        self.core, self.labels, self.ways = core, labels, ways or Ways(core.machine)
        self.info = StageInfo(name=name, kind=kind, layer=layer, core=core.core, index=index,
                              slots=slots)
        self.areas: dict[str, Area] = {}
        self.packets = [0, 0, 0, 0]
        self.owners: list[tuple[Position, int]] = []
        self.words_used = 0
        self._code: list[Callable[[], int]] = []
        self._word_bytes = core.machine.core.word_bits // 8
        self._flit_bytes = core.machine.noc.flit_bits // 8

    # Slot layout

    def area(self, name: str, elements: int, kind: Type) -> Area:
        """Room for a vector; returns its word address in the slot."""
        self.areas[name] = Area(self.words_used, kind)
        self.words_used += self.words(elements, kind)
        return self.areas[name]

    def cut_slots(self, slots: int) -> None:
        """Change the number of slots, before anyone reserves them."""
        assert not self.owners, "slots are reserved by their number"
        self.info = replace(self.info, slots=slots)

    def words(self, elements: int, kind: Type) -> int:
        """Words of a vector."""
        return -(-(elements << kind) // self._word_bytes)

    def flits(self, elements: int, kind: Type) -> int:
        """Flits of a vector."""
        return -(-(elements << kind) // self._flit_bytes)

    def flit_offset(self, area: str, element: int = 0) -> int:
        """Flit address of an element of an area; it must begin a flit."""
        word = self.areas[area]
        offset = element << word.kind
        assert offset % self._flit_bytes == 0, f"element {element} of {area} does not begin a flit"
        return word * (self._word_bytes // self._flit_bytes) + offset // self._flit_bytes

    # Program

    def emit(self, op: Op, *, skip: int = EFFECTLESS, need: int = 0, **fields: int) -> None:
        """Append an instruction that by default does nothing for effectless tokens.

        Raises
        ------
        MapperError
            If a field is too large for its place in the instruction.
        """
        word = self._assemble(op, skip=skip, need=need, **fields)
        self._code.append(lambda: word)

    def _assemble(self, op: Op, **fields: int) -> int:
        try:
            return assemble(op, **fields)
        except ValueError as error:
            raise MapperError(f"core {self.core.core}: {op.name} of stage {self.info.name}: "
                              f"{error}") from error

    def wait(self, operand: int) -> None:
        """Wait for every packet of an operand; the number is known when the model is complete."""
        self._code.append(lambda: self._assemble(Op.WAIT, operand=operand,
                                                 packets=self.packets[operand]))

    def sfu(self, fn: Fn, *, length: int = 0, skip: int = EFFECTLESS, need: int = 0,
            a: int | None = None, a_type: Type = Type.I32, b: int = 0, b_mode: BMode = BMode.NONE,
            b_wrap: int = 0, c: int = 0, d: int = 0, d_type: Type = Type.I32, param: int = 0,
            shift: int = 0, m_mode: MMode = MMode.UNITY, wide: bool = False,
            track: Track = Track.NONE, release: bool = False, tokens: bool = False) -> None:
        """Append a vector operation; ``a`` None takes the drain stream."""
        self.emit(Op.SFU, skip=skip, need=need, fn=fn, a_array=int(a is None), a_type=a_type,
                  a_addr=a or 0, b_mode=b_mode, b_addr=b, b_wrap=b_wrap, c_addr=c, d_type=d_type,
                  d_addr=d, length=length, param=param, shift=shift, m_mode=m_mode,
                  wide=int(wide), track=track, release=int(release), tokens=int(tokens))

    def matrix(self, plan: MatrixPlan, src: int, segments: Sequence[tuple[int, int, Operation]], *,
               skip: int = EFFECTLESS) -> None:
        """Multiply the vector at ``src`` and hand its outputs to the segments.

        A segment is (first output, length, operation); ``operation(start, count, release)`` emits
        the SFU instruction for outputs ``start .. start + count`` of the segment.
        """
        for step in plan.passes:
            for first, inputs, macros in step.loads:
                self.emit(Op.LOAD, skip=skip, src=src + first // self._word_bytes, length=inputs,
                          offset=0, macros=macros)
            self.emit(Op.MVM, skip=skip, first_group=step.first_group, step=step.step,
                      steps=step.steps, macros=step.macros)
            parts = [(max(first, step.low), min(first + length, step.high), first, operation)
                     for first, length, operation in segments]
            parts = [part for part in parts if part[0] < part[1]]
            for low, high, first, operation in parts:
                operation(low - first, high - low, high == parts[-1][1])

    # Flows

    def send(self, targets: "Sequence[StageBuilder]", *, operand: int, src: int, flits: int,
             area: str, element: int = 0,
             reserve: "Sequence[StageBuilder] | None" = None) -> None:
        """Send ``flits`` from word ``src`` to an area of the token's slot at every target.

        ``element`` is where in the area the vector begins; a multicast has one address for all, so
        the area must lie at the same place in every target. With ``reserve``, waits until all
        those stages have room for the token, and reserves it; this stage then is their owner.
        Targets that no multicast tree reaches for dead parts get SENDs of their own, after the
        first, which takes the credits for all.
        """
        first = targets[0]
        places = {(t.info.index, t.flit_offset(area, element)) for t in targets}
        assert len(places) == 1, f"{area} must have one place in all targets, not {places}"
        for target in targets:
            target.packets[operand] += -(-flits // PAYLOAD_FLITS_MAX)
        counters = 0
        for stage in reserve or ():
            counter = self.core.credit_counter(stage.info.slots)
            stage.owners.append((self.info.core, counter))
            counters |= 1 << counter
        here, cores = self.info.core, [t.info.core for t in targets]
        for group in self.ways.groups(here, cores):
            many = len(group) > 1
            dest = self.core.dest({
                "x": group[0][0], "y": group[0][1],
                "label": self.labels.label(here, group) if many else 0,
                "stage": first.info.index, "operand": operand, "credits": counters,
                **({} if many else self.ways.dest(here, group[0]))})
            self.emit(Op.SEND, skip=0, dest=dest, src=src, flits=flits,
                      dst=first.flit_offset(area, element), acquire=int(bool(counters)))
            counters = 0

    def report(self, host: Position, *, operand: int, src: int, flits: int, dst: int,
               skip: int = 0, need: int = 0) -> None:
        """Send to the host, which always has room; ``dst`` is for the host to make sense of."""
        dest = self.core.dest({"x": host[0], "y": host[1], "operand": operand,
                               **self.ways.dest(self.info.core, host)})
        self.emit(Op.SEND, skip=skip, need=need, dest=dest, src=src, flits=flits, dst=dst)

    def finish(self) -> None:
        """Write the stage into its core."""
        assert len(self.owners) == 1, f"{self.info.name} must have one owner, not {self.owners}"
        code = [word() for word in self._code]
        code.append(assemble(Op.END))
        self.core.stage(self.info.index, name=self.info.name, slots=self.info.slots,
                        words=max(self.words_used, 1), code=code,
                        owners=[(owner, counter, self.ways.way(self.info.core, owner))
                                for owner, counter in self.owners])
