"""What happened in the cores that were recorded, as things with a beginning and an end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ouroboros.hw.core.slots import SlotState
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.position import Position
from ouroboros.tb.waves.decode import passed, words
from ouroboros.tb.waves.stage import Slot, slots_of
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["KINDS", "Transaction", "transactions"]

KINDS = ("token", "packet", "product", "KV operation")
KV_OPS = (Op.APPEND, Op.FREE)
PRODUCTS = (Op.MVM, Op.SCORE, Op.CONTEXT)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One of them."""

    core: Position
    """Where."""
    kind: str
    """One of ``KINDS``."""
    track: str
    """What it happened on: a slot, a link, the array."""
    first: int
    """First cycle."""
    last: int
    """Last cycle."""
    text: str
    """What it is."""
    args: dict[str, int | str] = field(default_factory=dict)
    """Its fields."""


def transactions(wave: WaveFile) -> list[Transaction]:
    """Of all cores that were recorded, by their beginnings."""
    found = [one for core in wave.cores
             for make in (_tokens, _packets, _products) for one in make(wave, core)]
    return sorted(found, key=lambda one: (one.first, one.last, one.core, one.track))


def _tokens(wave: WaveFile, core: Position) -> Iterator[Transaction]:
    for slot in slots_of(wave, core):
        begun: tuple[int, str, int] | None = None
        for cycle in range(wave.first, wave.last + 1):
            state = slot.state(cycle)
            token = None if state in (None, SlotState.FREE) else (
                slot.token(cycle), slot.at("stage", cycle))
            if begun is not None and token != begun[1:]:
                yield _token(wave, core, slot, begun, cycle - 1)
                begun = None
            if begun is None and token is not None:
                begun = (cycle, *token)
        if begun is not None:
            yield _token(wave, core, slot, begun, wave.last)


def _token(wave: WaveFile, core: Position, slot: Slot, begun: tuple[int, str, int],
           last: int) -> Transaction:
    first, token, stage = begun
    name = wave.about.stage_names.get((core, stage), f"stage {stage}")
    return Transaction(core, "token", f"slot {slot.number}", first, last, f"{name} {token}",
                       {"stage": name, "token": token})


def _packets(wave: WaveFile, core: Position) -> Iterator[Transaction]:
    for into in (True, False):
        for packet in passed(wave, core, wave.first, wave.last, into=into):
            way = "in" if into else "out"
            yield Transaction(core, "packet", f"{way} {packet.port.name.lower()} vc {packet.vc}",
                              packet.cycles[0], packet.cycles[-1],
                              words(packet.header, wave.about.stage_names),
                              {**packet.header, "flits": len(packet.cycles)})


def _products(wave: WaveFile, core: Position) -> Iterator[Transaction]:
    """Instructions of the array, from when it takes them to their completion."""
    base = "core.controller.issue_array"
    valid, ready = wave.signal(core, f"{base}__valid"), wave.signal(core, f"{base}__ready")
    word = wave.signal(core, f"{base}__payload$instruction")
    of = wave.signal(core, f"{base}__payload$slot")
    done = wave.signal(core, "core.controller.done_array__valid")
    done_of = wave.signal(core, "core.controller.done_array__payload$slot")
    running: dict[int, tuple[int, Op]] = {}
    for cycle in range(wave.first, wave.last + 1):
        if done.at(cycle) and (slot := done_of.at(cycle)) in running:
            first, op = running.pop(slot)
            yield _product(core, op, slot, first, cycle)
        if valid.at(cycle) and ready.at(cycle):
            bits = (word.at(cycle) or 0) & 15
            if bits in {op.value for op in Op}:
                running[of.at(cycle) or 0] = cycle, Op(bits)
    for slot, (first, op) in running.items():
        yield _product(core, op, slot, first, wave.last)


def _product(core: Position, op: Op, slot: int, first: int, last: int) -> Transaction:
    kind = "KV operation" if op in KV_OPS else "product"
    return Transaction(core, kind, "array", first, last, f"{op.name} of slot {slot}",
                       {"op": op.name, "slot": slot})
