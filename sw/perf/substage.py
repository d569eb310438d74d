"""One kind of core of a transformer block at any scale, without weights.

A sub-stage is one representative core: its program in parts (a part ends where the token waits for
others), what comes in and what goes out. Cycles are those of ``sw.perf.cycles``, so a sub-stage of
the wafer and a stage of a simulated machine are counted by the same formulas.
"""

from dataclasses import dataclass

from ouroboros.hw.params.isa import Op, Type, assemble, disassemble
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.perf.cycles import Holds, holds, serial
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.program.image import Instruction, Stage, Token, packet_flits
from ouroboros.sw.program.program import StageInfo

__all__ = ["Inflow", "Sizes", "SubStage", "Tiling", "columns", "divide", "ins"]

LOCAL_AND_ONWARD = 2
"""Copies that a router on a multicast tree makes: one for its core, one for the next router."""


def divide(a: int, b: int) -> int:
    """Quotient, rounded up."""
    return -(-a // b)


def ins(op: Op, **fields: int) -> Instruction:
    """An instruction with these fields."""
    return Instruction(*disassemble(assemble(op, **fields)))


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a matrix lies over cores: ``r x c`` macros in each."""

    rows: int
    """Row tiles (of ``cim.rows`` inputs) in a core."""
    columns: int
    """Column tiles (of ``cim.outputs`` outputs) in a core."""
    row_slices: int
    """Cores that share the inputs and add partial sums; 1: whole sums in every core."""
    column_slices: int
    """Cores side by side over the outputs."""

    @property
    def cores(self) -> int:
        """Cores in all."""
        return self.row_slices * self.column_slices


@dataclass(frozen=True, slots=True)
class Inflow:
    """Vectors that a token brings to a core."""

    vectors: int
    """How many, each from a sender of its own."""
    flits: int
    """Payload of each."""
    multicast: bool = False
    """They go to several cores, so routers copy them."""

    @property
    def network_flits(self) -> int:
        """With headers."""
        return self.vectors * packet_flits(self.flits)


@dataclass(frozen=True, slots=True)
class SubStage:
    """One kind of core of a block (or of the LM head)."""

    name: str
    """For tables."""
    cores: int
    """How many of them a block has."""
    parts: tuple[tuple[Instruction, ...], ...]
    """Its program, cut after each wait in the middle."""
    inflows: tuple[Inflow, ...]
    """What it takes."""
    receivers: int
    """Flows that it pays credits for and gets them back."""
    slot_words: int
    """Buffer words of one token slot."""
    kv: dict[str, int] | None = None
    """``KV_CONFIG`` of a KV core."""

    def stage(self) -> Stage:
        """As ``sw.perf.cycles`` wants it."""
        info = StageInfo(self.name, self.name, 0, (1, 1), 0, 1)
        return Stage(info=info, code=tuple(i for part in self.parts for i in part), dests={},
                     owners=(), kv=self.kv)

    def holds(self, machine: Machine, token: Token) -> Holds:
        """Units per token."""
        return holds(machine, self.stage(), token)

    def serial(self, machine: Machine, token: Token, part: int) -> int:
        """Cycles of one part of the program."""
        return serial(machine, self.stage(), token, self.parts[part])

    def units(self, machine: Machine, token: Token) -> dict[str, int]:
        """Cycles of its core per token, by resource."""
        found = self.holds(machine, token)
        return {"array": found.array, "SFU": found.sfu_and_drain, "send": found.send,
                "flits in": self.flits_in, "flits out": self.flits_out,
                "multicast": self.copying, "dispatch": found.dispatch}

    @property
    def flits_in(self) -> int:
        """Per token, headers and returned credits included."""
        return sum(flow.network_flits for flow in self.inflows) + self.receivers

    @property
    def flits_out(self) -> int:
        """Per token, headers and paid credits included."""
        return (sum(packet_flits(i.fields["flits"]) for part in self.parts for i in part
                    if i.op is Op.SEND) + sum(flow.vectors for flow in self.inflows))

    @property
    def copying(self) -> int:
        """Cycles of a router input on the multicast trees that end here.

        ``hw.noc.channel`` sends the copies of a packet one after the other.
        """
        return LOCAL_AND_ONWARD * sum(flow.network_flits for flow in self.inflows
                                      if flow.multicast)

    def slots(self, machine: Machine) -> int:
        """Tokens that a core of its own can hold."""
        fitting = machine.core.buffer_words // self.slot_words
        if not fitting:
            raise PerfError(f"one slot of {self.name} must be at most {machine.core.buffer_words} "
                            f"buffer words, not {self.slot_words}")
        return min(fitting, machine.core.slots)


def columns(machine: Machine, inputs: int, outputs: int) -> Tiling:
    """Output-channel tiling: every core has all inputs.

    Raises
    ------
    PerfError
        If one column of row tiles does not fit a core.
    """
    rows = divide(inputs, machine.cim.rows)
    if rows > machine.core.macros:
        raise PerfError(f"inputs of an output-tiled matrix must be at most "
                        f"{machine.core.macros * machine.cim.rows}, not {inputs}")
    each = machine.core.macros // rows
    return Tiling(rows, each, 1, divide(divide(outputs, machine.cim.outputs), each))


class Sizes:
    """Words and flits of vectors on a machine."""

    def __init__(self, machine: Machine):
        self.machine = machine

    def flits(self, elements: int, kind: Type) -> int:
        """Flits of a vector."""
        return divide(elements << kind, self.machine.noc.flit_bits // 8)

    def words(self, elements: int, kind: Type) -> int:
        """Buffer words of a vector."""
        return divide(elements << kind, self.machine.core.word_bits // 8)

    @property
    def scalar(self) -> int:
        """Flits of one word: a statistic on its way."""
        return self.machine.flits_per_word

    def matrix(self, tiling: Tiling, inputs: int) -> list[Instruction]:
        """LOADs and the MVM of one core."""
        rows, code = self.machine.cim.rows, []
        tile = (1 << tiling.columns) - 1
        for n in range(tiling.rows):
            length = min(rows, inputs - n * rows)
            if length > 0:
                code.append(ins(Op.LOAD, length=length, macros=tile << n * tiling.columns))
        every = (1 << tiling.rows * tiling.columns) - 1
        return [*code, ins(Op.MVM, steps=tiling.columns, macros=every)]
