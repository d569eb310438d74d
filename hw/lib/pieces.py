"""A component cut into pieces: each component inside it becomes a module of its own.

Amaranth converts a component as one netlist, all that it contains included, whose inner modules get
ports of its own making. Here each component with a signature is a netlist by itself; its ports are
those of the signature, and pieces can be converted side by side.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from amaranth import ClockSignal, DomainRenamer, ResetSignal, Signal, Value
from amaranth.hdl import Const, Fragment, Instance
from amaranth.hdl._ir import IOBufferInstance
from amaranth.hdl._mem import MemoryInstance
from amaranth.hdl._xfrm import DomainCollector, TransformedElaboratable
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from ouroboros.hw.lib.names import LibraryError

__all__ = ["Piece", "cut", "flat_ports"]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A netlist that is converted by itself."""

    name: str
    """Of its module; ``PARENT..CHILD`` until all texts are known."""
    kind: str
    """What such modules are called: that of the parent, and the component's class."""
    fragment: Fragment
    """What it contains; other pieces are instances."""
    ports: tuple[tuple[str, wiring.Flow, Signal], ...]
    """In the order of the signature."""
    clocks: tuple[str, ...]
    """Ports before these: ``clk``, ``rst``, or none."""


def flat_ports(component: wiring.Component) -> Iterator[tuple[str, wiring.Flow, Value]]:
    """Name, direction and value of every Verilog port of a component, in signature order.

    The names are those of ``amaranth.back.verilog.convert``: path items joined by ``__``. Constant
    members (``ready`` of an ``always_ready`` stream) have no port, nor have those of no bits.
    """
    for path, member, value in component.signature.flatten(component):
        value = Value.cast(value)
        if not isinstance(value, Const) and len(value):
            yield "__".join(map(str, path)), member.flow, value


def cut(name: str, component: wiring.Component) -> list[Piece]:
    """Elaborate a component into pieces, children before parents, itself last.

    A component inside it stays part of its parent if the two share more than the ports of its
    signature, for then they cannot be told apart.

    Raises
    ------
    LibraryError
        If a part of it needs a clock that another part makes.
    """
    fragment = Fragment.get(component, None)
    total: Counter[int] = Counter()
    used = _Used(fragment, total)
    ports = tuple(flat_ports(component))
    total.update(signal.duid for _, _, signal in ports)
    pieces: list[Piece] = []
    made = _cut_inside(name, name, fragment, used, total, pieces)
    needed = _domains(fragment)
    if lost := sorted(needed & made):
        raise LibraryError(f"module {name!r} must not use clock {lost[0]!r} of one of its parts")
    pieces.append(Piece(name, name, fragment, ports, _clock_names(needed)))
    return pieces


class _Used:
    """How often the fragments of a subtree use each signal, by its number."""

    def __init__(self, fragment: Fragment, total: Counter[int]):
        own = _own_signals(fragment)
        total.update(own)
        self.inside = [_Used(part, total) for part, _, _ in fragment.subfragments]
        self.count: Counter[int] = Counter(own)
        for part in self.inside:
            self.count.update(part.count)


def _cut_inside(name, kind, fragment, used, total, pieces) -> set[str]:
    """Replace components inside a fragment by instances; clocks that these make for others."""
    made: set[str] = set()
    for n, (part, label, src_loc) in enumerate(fragment.subfragments):
        found = _component(part)
        inner = f"{name}..{label or n}"
        ports = () if found is None else tuple(flat_ports(found))
        alone = found is not None and _alone(ports, used.inside[n], total)
        if not alone:
            made |= _cut_inside(inner, kind, part, used.inside[n], total, pieces)
            continue
        own = f"{kind}_{_snake(type(found).__name__)}"
        below = _cut_inside(inner, own, part, used.inside[n], total, pieces)
        needed = _domains(part)
        if lost := sorted(needed & below):
            raise LibraryError(f"module {inner!r} must not use clock {lost[0]!r} of one of its "
                               "parts")
        made |= set(part.domains) - {one.name for one in part.domains.values() if one.local}
        body, clocks = part, _clock_names(needed)
        signals = [signal for one in sorted(needed)
                   for signal in (ClockSignal(one), ResetSignal(one))]
        if len(needed) == 1 and "sync" not in needed:
            body, clocks = DomainRenamer({next(iter(needed)): "sync"})(part), ("clk", "rst")
        pieces.append(Piece(inner, own, body, ports, clocks))
        place = Instance(
            inner, *(("i", port, signal) for port, signal in zip(clocks, signals, strict=True)),
            *(("i" if flow is wiring.In else "o", port, signal) for port, flow, signal in ports),
            src_loc=src_loc)
        fragment.subfragments[n] = (place, label, src_loc)
    return made


def _component(fragment: Fragment) -> wiring.Component | None:
    """The component that a fragment was made from, if it has a signature to be cut at."""
    if isinstance(fragment, Instance | MemoryInstance | IOBufferInstance):
        return None
    for origin in fragment.origins or ():
        while isinstance(origin, TransformedElaboratable):
            origin = origin._elaboratable_
        if isinstance(origin, wiring.Component) and not isinstance(origin, Memory):
            return origin
    return None


def _alone(ports, used: _Used, total: Counter[int]) -> bool:
    """Whether a subtree shares nothing with the rest of the design but its ports."""
    if not all(isinstance(signal, Signal) for _, _, signal in ports):
        return False
    shared = {signal.duid for _, _, signal in ports}
    return len(shared) == len(ports) and all(
        number in shared or total[number] == count for number, count in used.count.items())


class _Collector(DomainCollector):
    """Numbers of the signals that it visits, beside the domains."""

    def __init__(self):
        super().__init__()
        self.numbers: set[int] = set()

    def on_Signal(self, value):
        self.numbers.add(value.duid)


def _own_signals(fragment: Fragment) -> set[int]:
    """Numbers of the signals that a fragment itself reads or drives."""
    collector = _Collector()
    if isinstance(fragment, Instance):
        for value, _ in fragment.ports.values():
            collector.on_value(value)
    elif isinstance(fragment, MemoryInstance):
        for port in (*fragment._read_ports, *fragment._write_ports):
            for value in (port._addr, port._data, port._en):
                collector.on_value(value)
    for statements in fragment.statements.values():
        collector.on_statements(statements)
    return collector.numbers


def _domains(fragment: Fragment) -> set[str]:
    """Clock domains that a fragment needs from outside."""
    collector = DomainCollector()
    collector(fragment)
    return collector.used_domains - collector.defined_domains - {"comb"}


def _clock_names(domains: set[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}{kind}" for domain in sorted(domains)
                 for prefix in ("" if domain == "sync" else f"{domain}_",)
                 for kind in ("clk", "rst"))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.lstrip("_")).lower()
