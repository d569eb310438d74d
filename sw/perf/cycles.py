"""Cycles of one instruction: how long its token waits, and how long it holds each resource.

Built on ``hw.params.timing``, which the hardware's tests assert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from ouroboros.hw.params.isa import SCALAR_FUNCTIONS, Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.timing.array import (
    LOAD_CYCLES,
    Loaded,
    append_cycles,
    context_cycles,
    drop_cycles,
    free_cycles,
    loading_cycles,
    mvm_cycles_behind,
    score_cycles,
)
from ouroboros.hw.params.timing.control import (
    ACCEPT_CYCLES,
    DISPATCH_CYCLES,
    ISSUE_CYCLES,
    RELEASE_CYCLES,
    send_cycles,
)
from ouroboros.hw.params.timing.sfu import fetch_cycles, reads_c, sfu_cycles, sfu_occupancy
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.program.image import Instruction, Stage, Token

__all__ = ["Holds", "holds", "last_beats", "latency", "loaded", "loaded_groups", "serial",
           "vector_length"]

@dataclass(slots=True)
class Holds:
    """Cycles for which a token holds the resources of a core; one token at a time holds each."""

    dispatch: int = 0
    """The dispatcher."""
    load: int = 0
    """The operand loader: from the first LOAD until the next slot's can be taken."""
    compute: int = 0
    """The macros: MVM, APPEND, SCORE, CONTEXT, FREE."""
    kv_write: int = 0
    """The part of ``compute`` that is APPEND."""
    drain: int = 0
    """The drain registers' reader: from a result's ``done`` to that of the next, if one waits."""
    banks: int = 0
    """The two operand banks, as half of the time that one is held: LOAD to ``done`` of MVM."""
    sfu: int = 0
    """The special-function unit."""
    send: int = 0
    """The send unit."""
    gaps: int = 0
    """Cycles of the SFU's idleness while a result waits for its next instruction."""

    def __add__(self, other: "Holds") -> "Holds":
        return Holds(**{field.name: getattr(self, field.name) + getattr(other, field.name)
                        for field in fields(self)})

    @property
    def array(self) -> int:
        """The array unit: its slowest part."""
        return max(self.load, self.compute, self.drain, self.banks)

    @property
    def sfu_and_drain(self) -> int:
        """The SFU with the idleness that results force on it.

        One result at a time is read out. Between its instructions, and before the next result, only
        another token's instruction that uses no result could run; but one that is ready is taken
        before the gap begins. An up/gate stage of 135 cycles with gaps of 13 has been measured to
        take a token every 150.
        """
        return self.sfu + self.gaps


def latency(machine: Machine, stage: Stage, instruction: Instruction, token: Token) -> int:
    """Cycles from the acceptance of a unit's instruction to ``done``, nothing being in the way."""
    f, kv = instruction.fields, stage.kv or {}
    tokens = stage.local_tokens(machine, token)
    match instruction.op:
        case Op.LOAD:
            return LOAD_CYCLES
        case Op.MVM:
            return mvm_cycles_behind(machine, _load(stage, instruction),
                                     ISSUE_CYCLES + LOAD_CYCLES, f["first_group"])
        case Op.APPEND:
            return append_cycles(machine, kv["head_dim"], **_append(machine, stage, token))
        case Op.SCORE:
            return score_cycles(machine, kv["head_dim"], kv["k_groups"], tokens)
        case Op.CONTEXT:
            return context_cycles(machine, _v_macros(machine, kv, tokens), tokens)
        case Op.FREE:
            return free_cycles(_held(machine, stage, token))
        case Op.SFU:
            return sfu_cycles(machine, f["fn"], vector_length(instruction, tokens),
                              **_sfu(f))
        case Op.SEND:
            return send_cycles(f["flits"])
        case _:
            raise ValueError(f"instruction must be one of a unit, not {instruction.op.name}")


def serial(machine: Machine, stage: Stage, token: Token,
           instructions: Sequence[Instruction]) -> int:
    """Cycles in which a token executes ``instructions`` of a stage, waits left out."""
    return sum(DISPATCH_CYCLES if not i.runs(token.flags) or i.op in (Op.WAIT, Op.END)
               else ISSUE_CYCLES + latency(machine, stage, i, token) for i in instructions)


def holds(machine: Machine, stage: Stage, token: Token) -> Holds:
    """Resources that one token of ``stage`` holds."""
    total = Holds()
    tokens = stage.local_tokens(machine, token)
    load = Loaded(0)
    since_done: int | None = None
    for i in stage.code:
        total.dispatch += DISPATCH_CYCLES
        if not i.runs(token.flags) or i.op in (Op.WAIT, Op.END):
            continue
        f, cycles = i.fields, latency(machine, stage, i, token)
        match i.op:
            case Op.LOAD:
                load = loaded(i)
            case Op.MVM:
                began = ISSUE_CYCLES + LOAD_CYCLES
                total.load += max(began + ACCEPT_CYCLES, loading_cycles(machine, load))
                total.compute += machine.cim.command_cycles(max(load.groups(machine)))
                total.banks += -(-(began + cycles + ACCEPT_CYCLES) // 2)
                since_done = 0
            case Op.APPEND:
                total.compute += cycles
                total.kv_write += cycles
            case Op.SCORE | Op.CONTEXT:
                # The macros are done before their sums stand in the drain registers.
                total.compute += max(cycles - machine.cim.fill_cycles, 1)
                since_done = 0
            case Op.FREE:
                total.compute += cycles
            case Op.SEND:
                total.send += cycles
            case Op.SFU:
                length = vector_length(i, tokens)
                occupancy = sfu_occupancy(machine, f["fn"], length, **_sfu(f))
                total.sfu += occupancy
                if since_done is None:
                    continue
                if f["release"]:
                    total.drain += since_done + ISSUE_CYCLES + last_beats(machine, i, length)
                    total.gaps += ISSUE_CYCLES + last_beats(machine, i, length) - occupancy
                    since_done = None
                else:
                    since_done += ISSUE_CYCLES + cycles
                    total.gaps += ISSUE_CYCLES + cycles - occupancy
            case _:
                pass
    return total


def last_beats(machine: Machine, sfu: Instruction, length: int) -> int:
    """From the acceptance of an instruction with ``release`` to ``done`` of a result that waits."""
    f = sfu.fields
    fetch = 0 if f["fn"] in SCALAR_FUNCTIONS else fetch_cycles(machine, length, digits=f["digits"])
    dropped = drop_cycles(machine) if f["tokens"] else 0
    return reads_c(f["fn"], f["m_mode"], less=f["less"]) + fetch + 1 + RELEASE_CYCLES + dropped


def _sfu(fields: Mapping[str, int]) -> dict[str, int]:
    """Fields of an SFU instruction that its cycles depend on, but for function and length."""
    return {name: fields[name] for name in ("m_mode", "track", "less", "digits")}


def loaded_groups(machine: Machine, stage: Stage, mvm: Instruction) -> list[int]:
    """Valid operand groups that the LOAD before an MVM brings to each macro."""
    groups, tiles = [0] * machine.core.macros, _load(stage, mvm).groups(machine)
    mask = stage.code[_place(stage, mvm) - 1].fields["macros"]
    for macro in range(machine.core.macros):
        for n, valid in enumerate(tiles):
            if mask << n >> macro & mvm.fields["macros"] >> macro & 1:
                groups[macro] = valid
    return groups


def _place(stage: Stage, instruction: Instruction) -> int:
    return next(n for n, i in enumerate(stage.code) if i is instruction)


def _load(stage: Stage, mvm: Instruction) -> Loaded:
    """What the LOAD right before an MVM brings; these formulas are for one LOAD an MVM."""
    at = _place(stage, mvm)
    ops = [i.op for i in stage.code[max(at - 2, 0):at]]
    if ops[-1:] != [Op.LOAD] or ops == [Op.LOAD, Op.LOAD] or stage.code[at - 1].fields["offset"]:
        raise PerfError(f"MVM number {at} of stage {stage.info.name} must come after one LOAD to "
                        f"operand word 0, not after {', '.join(op.name for op in ops) or 'none'}")
    return loaded(stage.code[at - 1])


def loaded(load: Instruction) -> Loaded:
    """What a LOAD brings."""
    f = load.fields
    return Loaded(f["length"], max(f["tiles"], 1), f["tile"])


def _append(machine: Machine, stage: Stage, token: Token) -> dict[str, bool]:
    """Whether an append of this token is local, and the first of its block."""
    return {"local": stage.keeps(machine, token),
            "new_block": token.position % machine.block_tokens == 0}


def _held(machine: Machine, stage: Stage, token: Token) -> int:
    """Blocks that the tokens before this one have left in the core."""
    last = replace(token, position=token.position - 1)
    tokens = stage.local_tokens(machine, last) if token.position else 0
    return (stage.kv or {})["heads"] * -(-tokens // machine.block_tokens)


def _v_macros(machine: Machine, kv: Mapping[str, int], tokens: int) -> list[int]:
    """Macros of V blocks of a sequence that is alone: round robin, or one after the other."""
    row_blocks = machine.cim.rows // machine.cim.outputs if kv["v_stays"] else 1
    blocks = -(-tokens // machine.block_tokens)
    return [block // row_blocks % kv["v_macros"].bit_count() for block in range(blocks)]


def vector_length(sfu: Instruction, tokens: int) -> int:
    """Elements of an SFU instruction for a token with that many local KV tokens."""
    return tokens if sfu.fields["tokens"] else sfu.fields["length"]
