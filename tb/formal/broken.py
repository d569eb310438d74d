"""Blocks broken on purpose, to see that their proofs fail: assignments changed in the netlist."""

from collections.abc import Callable, Iterator, Mapping

from amaranth.hdl import Elaboratable, Fragment, Signal, Value
from amaranth.hdl._ast import Assign, Format, Slice, Statement, Switch
from amaranth.hdl._xfrm import StatementTransformer

__all__ = ["Nets", "broken"]

Changes = Mapping[str, "Callable[[Nets, Value], Value]"]
"""By name of a signal: what is assigned to it instead, from the block's nets and what was."""


class Nets:
    """Signals of an elaborated block by the names that they have in its netlist.

    ``state.reserved`` is a field of the signal ``state``; ports are named as in Verilog.
    """

    def __init__(self, fragment: Fragment):
        self._signals: dict[str, dict[int, Signal]] = {}
        for statements in fragment.statements.values():
            for signal in _signals(statements):
                self._signals.setdefault(signal.name, {})[id(signal)] = signal

    def __getitem__(self, name: str) -> Value:
        found = self.all(name)
        if len(found) != 1:
            raise ValueError(f"{name} must be one signal of the block, not {len(found)}")
        return found[0]

    def all(self, name: str) -> list[Value]:
        """Signals of that name, in the order in which they are used."""
        signal, *fields = name.split(".")
        return [_field(found, fields) for found in self._signals.get(signal, {}).values()]


class _Change(StatementTransformer):
    def __init__(self, fragment: Fragment, changes: Changes):
        self._nets, self.made = Nets(fragment), dict.fromkeys(changes, 0)
        self._targets = {_span(target): (name, change) for name, change in changes.items()
                         for target in self._nets.all(name)}

    def on_Assign(self, stmt):
        name, change = self._targets.get(_span(stmt.lhs), (None, None))
        if name is None:
            return stmt
        self.made[name] += 1
        return Assign(stmt.lhs, Value.cast(change(self._nets, stmt.rhs)))


def broken(component: Elaboratable, block: type, changes: Changes) -> Elaboratable:
    """The same component, with ``changes`` made in every ``block`` in it.

    Raises
    ------
    ValueError
        On elaboration, if a block has no assignment to change, or there is no block.
    """
    elaborate = component.elaborate

    def elaborate_broken(platform):
        fragment = Fragment.get(elaborate(platform), platform)
        if not _change(fragment, block, changes):
            raise ValueError(f"{block.__name__} must be a block of {component!r}")
        return fragment

    component.elaborate = elaborate_broken
    return component


def _change(fragment: Fragment, block: type, changes: Changes) -> int:
    """Number of blocks changed."""
    found = 0
    if any(isinstance(origin, block) for origin in fragment.origins or ()):
        transform = _Change(fragment, changes)
        for domain, statements in fragment.statements.items():
            fragment.statements[domain] = transform.on_statements(statements)
        if missing := [name for name, made in transform.made.items() if not made]:
            raise ValueError(f"{missing[0]} must be assigned in {block.__name__}")
        found = 1
    return found + sum(_change(sub, block, changes) for sub, *_ in fragment.subfragments)


def _signals(statements: list[Statement]) -> Iterator[Signal]:
    for statement in statements:
        if isinstance(statement, Assign):
            yield from statement.lhs._rhs_signals()
            yield from statement.rhs._rhs_signals()
        elif isinstance(statement, Switch):
            yield from statement.test._rhs_signals()
            for _, inner, _ in statement.cases:
                yield from _signals(inner)


def _field(signal: Signal, path: list[str]) -> Value:
    form = signal._format
    for name in path:
        if not isinstance(form, Format.Struct) or name not in form._fields:
            raise ValueError(f"{name} must be a field of {signal.name}")
        form = form._fields[name]
    if not path:
        return signal
    if isinstance(form, Format):
        return next(chunk[0] for chunk in form._chunks if not isinstance(chunk, str))
    return Value.cast(form._value)


def _span(value: Value) -> tuple[int, int, int] | None:
    """Which bits of which signal; None of anything else."""
    if isinstance(value, Signal):
        return id(value), 0, len(value)
    if isinstance(value, Slice) and (inner := _span(value.value)):
        return inner[0], inner[1] + value.start, inner[1] + value.stop
    return None
