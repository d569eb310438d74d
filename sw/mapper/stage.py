"""One stage under construction: slot layout, program, flows to other stages."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hw.params.isa import BMode, Fn, MMode, Op, Track, Type, assemble
from hw.params.noc import PAYLOAD_FLITS_MAX
from hw.params.packet import Flag
from sw.mapper.core import CoreBuilder, MapperError, MatrixPlan
from sw.mapper.labels import LabelAllocator
from sw.mapper.program import Coordinate, StageInfo

__all__ = ["EFFECTLESS", "Area", "Host", "StageBuilder"]

EFFECTLESS = Flag.FREE | Flag.POISON
"""Tokens that compute nothing; their packets are sent all the same, so that every count holds."""


class Area(int):
    """Word address of a vector within a slot."""


class Host:
    """The host as a receiver: always room, no credits."""

    def __init__(self, coordinate: Coordinate):
        self.coordinate = coordinate


class StageBuilder:
    """Collects a stage's program; call ``finish`` once all flows of the model are known.

    Parameters
    ----------
    core : CoreBuilder
        Where it runs.
    labels : LabelAllocator
        Multicast labels of the mesh.
    """

    def __init__(self, core: CoreBuilder, labels: LabelAllocator, *, name: str, kind: str,
                 layer: int, index: int, slots: int):
        self.core, self.labels = core, labels
        self.info = StageInfo(name=name, kind=kind, layer=layer, core=core.core, index=index,
                              slots=slots)
        self.areas: dict[str, Area] = {}
        self.packets = [0, 0, 0, 0]
        self.senders: list[tuple[Coordinate, int]] = []
        self._words = 0
        self._code: list[int | Callable[[], int]] = []
        self._counters: dict[StageBuilder, int] = {}
        self._acquired: set[StageBuilder] = set()
        self._word_bytes = core.machine.core.word_bits // 8
        self._flit_bytes = core.machine.noc.flit_bits // 8

    # Slot layout

    def area(self, name: str, elements: int, kind: Type) -> Area:
        """Room for a vector; returns its word address in the slot."""
        self.areas[name] = Area(self._words)
        self._words += -(-(elements << kind) // self._word_bytes)
        return self.areas[name]

    def fit_slots(self) -> None:
        """Cut the slots to what the core's buffer holds, if it is to hold nothing else.

        Raises
        ------
        MapperError
            If not even one slot fits.
        """
        core = self.core.machine.core
        fitting = core.buffer_words // self._words
        if not fitting:
            raise MapperError(f"core {self.core.core}: one slot of stage {self.info.name} must be "
                              f"at most {core.buffer_words} buffer words, not {self._words}")
        self.info = replace(self.info, slots=min(self.info.slots, fitting, core.slots))

    def words(self, elements: int, kind: Type) -> int:
        """Words of a vector."""
        return -(-(elements << kind) // self._word_bytes)

    def flits(self, elements: int, kind: Type) -> int:
        """Flits of a vector."""
        return -(-(elements << kind) // self._flit_bytes)

    def flit_offset(self, word: int, element: int = 0, kind: Type = Type.I8) -> int:
        """Flit address of an element of the vector at ``word``; it must begin a flit."""
        offset = element << kind
        assert offset % self._flit_bytes == 0, f"element {element} does not begin a flit"
        return word * (self._word_bytes // self._flit_bytes) + offset // self._flit_bytes

    # Program

    def emit(self, op: Op, *, skip: int = EFFECTLESS, need: int = 0, **fields: int) -> None:
        """Append an instruction that by default does nothing for effectless tokens."""
        self._code.append(assemble(op, skip=skip, need=need, **fields))

    def wait(self, operand: int) -> None:
        """Wait for every packet of an operand; the number is known when the model is complete."""
        self._code.append(lambda: assemble(Op.WAIT, operand=operand,
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

    def matrix(self, plan: MatrixPlan, src: int,
               segments: Sequence[tuple[int, int, Callable[[int, int, bool], None]]], *,
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

    def send(self, targets: "Sequence[StageBuilder] | Host", *, operand: int, src: int, flits: int,
             dst: int, skip: int = 0, need: int = 0) -> None:
        """Send ``flits`` from word ``src`` to flit ``dst`` of the token's slot at every target."""
        fields = {"label": 0, "operand": operand, "vc": 0, "credits": 0}
        acquire = False
        if isinstance(targets, Host):
            fields |= {"x": targets.coordinate[0], "y": targets.coordinate[1], "stage": 0}
        else:
            first = targets[0]
            assert all(t.info.index == first.info.index for t in targets), "one stage number"
            fields |= {"x": first.info.core[0], "y": first.info.core[1],
                       "stage": first.info.index,
                       "credits": sum(1 << self._counter(t) for t in targets)}
            if len(targets) > 1:
                fields["label"] = self.labels.label(self.info.core, [t.info.core for t in targets])
            acquire = not self._acquired >= set(targets)
            assert not acquire or not self._acquired & set(targets), "credits are taken at once"
            self._acquired |= set(targets)
            for target in targets:
                target.packets[operand] += -(-flits // PAYLOAD_FLITS_MAX)
        self._code.append(assemble(
            Op.SEND, skip=skip, need=need, dest=self.core.dest(fields), src=src, flits=flits,
            dst=dst, acquire=int(acquire)))

    def _counter(self, target: "StageBuilder") -> int:
        if target not in self._counters:
            self._counters[target] = self.core.credit_counter(target.info.slots)
            target.senders.append((self.info.core, self._counters[target]))
        return self._counters[target]

    def finish(self) -> None:
        """Write the stage into its core."""
        code = [word if isinstance(word, int) else word() for word in self._code]
        code.append(assemble(Op.END))
        self.core.stage(self.info.index, name=self.info.name, slots=self.info.slots,
                        words=max(self._words, 1), code=code, senders=self.senders)
