"""Verilog in which each distinct module is emitted once.

Amaranth copies a submodule for every place it is used: a mesh of cores grows with its area. A
``Library`` converts a component to Verilog once, under a given module name, and hands out stand-ins
with the same signature whose body is an ``Instance``.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from amaranth import (
    ClockDomain,
    ClockSignal,
    DomainRenamer,
    Instance,
    Module,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.convert import Progress, convert, without_collector
from ouroboros.hw.lib.merge import merge
from ouroboros.hw.lib.names import KEYWORDS, LibraryError, check_name
from ouroboros.hw.lib.pieces import Piece, cut, flat_ports

__all__ = ["KEYWORDS", "Library", "LibraryError", "flat_ports"]

class Library:
    """Verilog modules, each converted once however often it is instantiated.

    A component with a method ``verilog(name)`` is not elaborated: that gives its text, once it has
    defined what it places.

    Parameters
    ----------
    flat : bool
        Hand out the components themselves instead of stand-ins, for Amaranth's own simulator.
    """

    def __init__(self, *, flat: bool = False):
        self.flat = flat
        self._texts: dict[str, str] = {}
        self._pieces: dict[str, list[Piece]] = {}
        self._params: dict[str, Any] = {}
        self._prototypes: dict[str, wiring.Component] = {}
        self._clocks: dict[str, tuple[str, ...]] = {}
        self._open: list[str] = []

    def instance(self, name: str, factory: Callable[[], wiring.Component], *, params: Any,
                 registered: Iterable[str] = (),
                 sampled: Iterable[str] = ()) -> wiring.Component:
        """Place an instance of module ``name``.

        The first call builds the component by ``factory()`` and converts it (with whatever it
        takes from this library itself); later ones only place it. Under ``flat`` every call returns
        ``factory()``.

        Parameters
        ----------
        params : Any
            Whatever tells two modules apart. All calls for one name must give equal ``params``.
        registered : Iterable[str]
            Input ports which pass a register at the module's entry, for static inputs and ``rst``
            (the module then leaves reset one cycle late). A module that Verilator compiles by
            itself computes all logic behind an unregistered input up to four times a cycle.
        sampled : Iterable[str]
            Input ports which pass a register on the falling edge of the clock, for simulation: the
            module behaves as without it in every cycle, if these inputs change at rising edges.

        Returns
        -------
        wiring.Component
            A component with the signature of the real one, for ``m.submodules`` and ``connect()``.

        Raises
        ------
        LibraryError
            If the name is taken by other parameters or is no Verilog identifier, or if a port
            would be called like a Verilog keyword.
        """
        if self.flat:
            return factory()
        self.define(name, factory, params=params, registered=registered, sampled=sampled)
        return _Placed(name, self._prototypes[name].signature, self._clocks[name])

    def define(self, name: str, factory: Callable[[], wiring.Component], *, params: Any,
               registered: Iterable[str] = (), sampled: Iterable[str] = ()) -> None:
        """Emit module ``name`` without placing it, as for the top of a design."""
        if self.flat:
            raise LibraryError("flat library must be used through instance() only")
        if name in self._prototypes:
            if self._params[name] != params:
                raise LibraryError(f"module {name!r} must be built from {self._params[name]!r} "
                                   f"everywhere, not {params!r}")
            return
        check_name("module", name)
        if name in self._open:
            raise LibraryError(f"module {name!r} must not contain itself: "
                               f"{' > '.join([*self._open, name])}")
        self._open.append(name)
        try:
            component = factory()
            # With a hand-written body, or after an error, it rightly stays without elaboration.
            component._MustUse__silence = True
            for port, _, _ in flat_ports(component):
                check_name(f"port of module {name!r}", port)
            if hasattr(component, "verilog"):
                # A structure writes itself, after what it places.
                self.add_source(name, component.verilog(name))
            elif name not in self._texts:
                names, falling = frozenset(registered), frozenset(sampled)
                top = _Registered(component, names, falling) if names or falling else component
                with without_collector():
                    self._pieces[name] = cut(name, top)
                self._clocks[name] = _clock_ports(name, self._pieces[name])
                self._texts[name] = ""  # its place, after what it contains
        finally:
            self._open.pop()
        self._params[name] = params
        self._prototypes[name] = component

    def add_source(self, name: str, text: str, *, clocks: tuple[str, ...] = ("clk", "rst")) -> None:
        """Register hand-written SystemVerilog as module ``name``.

        ``instance(name, ...)`` then takes the signature from its factory and the body from here:
        a behavioural twin. ``clocks`` names its ports besides those of the signature.
        """
        if self.flat:
            return
        check_name("module", name)
        if name in self._pieces or self._texts.setdefault(name, text) != text:
            raise LibraryError(f"module {name!r} must be registered before it is used, "
                               "and with one text only")
        if not re.search(rf"\bmodule\s+{name}\b", text):
            raise LibraryError(f"source of module {name!r} must contain 'module {name}'")
        self._clocks[name] = clocks

    def sources(self, progress: Progress = lambda done, total: None) -> dict[str, str]:
        """Verilog text of every module by name, children before parents.

        Modules are converted now, several at a time; those with equal texts are one.

        Parameters
        ----------
        progress : Callable[[int, int], None], optional
            Told how many conversions of how many are done.
        """
        if not self.flat:
            self._convert(progress)
        return dict(self._texts)

    def _convert(self, progress: Progress) -> None:
        waiting = [piece for pieces in self._pieces.values() for piece in pieces]
        if not any(piece.name in self._pieces and not self._texts[piece.name]
                   for piece in waiting):
            return
        texts = dict(zip((piece.name for piece in waiting), convert(waiting, progress),
                         strict=True))
        merged: dict[str, str] = {}
        for name, text in self._texts.items():
            if name in self._pieces:
                merge(merged, self._pieces[name], texts)
            else:
                merged[name] = text
        self._texts = merged

    def text(self) -> str:
        """Verilog text of all modules, each once, children before parents."""
        return "\n".join(self.sources().values())


class _Placed(wiring.Component):
    """Stand-in for a component: its signature, and an ``Instance`` of its module as body."""

    def __init__(self, module: str, signature: wiring.Signature, clocks: tuple[str, ...]):
        self._module = module
        self._clocks = clocks
        super().__init__(signature)

    def elaborate(self, platform):
        return Instance(
            self._module,
            *(("i", port, _domain_signal(port)) for port in self._clocks),
            *(("i" if flow is In else "o", name, value) for name, flow, value in flat_ports(self)))


class _Registered(wiring.Component):
    """A component with a register behind some of its inputs, perhaps its reset.

    ``falling`` are inputs whose register is clocked by the falling edge.
    """

    def __init__(self, body: wiring.Component, names: frozenset[str], falling: frozenset[str]):
        self._body, self._names, self._falling = body, names, falling
        self._MustUse__silence = True
        inputs = {name for name, flow, _ in flat_ports(body) if flow is In}
        if unknown := sorted(names - inputs - {"rst"}):
            raise LibraryError(f"registered must be inputs of the module, not {unknown[0]!r}")
        if unknown := sorted(falling - inputs | falling & names):
            raise LibraryError("sampled must be inputs of the module that are not registered, "
                               f"not {unknown[0]!r}")
        super().__init__(body.signature)

    def elaborate(self, platform):
        m = Module()

        m.domains.inner = inner = ClockDomain("inner")
        m.submodules.body = DomainRenamer("inner")(self._body)
        m.d.comb += inner.clk.eq(ClockSignal())
        if "rst" in self._names:
            reset = Signal(init=1, reset_less=True)
            m.d.sync += reset.eq(ResetSignal())
            m.d.comb += inner.rst.eq(reset)
        else:
            m.d.comb += inner.rst.eq(ResetSignal())

        if self._falling:
            m.domains.falling = falling = ClockDomain(
                "falling", clk_edge="neg", reset_less=True, local=True)
            m.d.comb += falling.clk.eq(ClockSignal())

        for (name, flow, outside), (_, _, inside) in zip(
                flat_ports(self), flat_ports(self._body), strict=True):
            if flow is Out:
                m.d.comb += outside.eq(inside)
            elif name in self._names | self._falling:
                entry = Signal.like(inside, name=f"{name}_entry", reset_less=True)
                m.d["falling" if name in self._falling else "sync"] += entry.eq(outside)
                m.d.comb += inside.eq(entry)
            else:
                m.d.comb += inside.eq(outside)

        return m


def _clock_ports(name: str, pieces: list[Piece]) -> tuple[str, ...]:
    """Clocks and resets of a module: ports that are no members of its signature."""
    clocks = pieces[-1].clocks
    for port in clocks:
        if not re.fullmatch(r"(\w+_)?(clk|rst)", port):
            raise LibraryError(f"module {name!r} has port {port!r}, which is neither a member of "
                               "its signature nor a clock or reset")
    return clocks


def _domain_signal(port: str) -> Value:
    """``clk``, ``rst``, ``slow_clk`` ... as a signal of the domain where the instance stands."""
    domain, _, kind = port.rpartition("_")
    return (ClockSignal if kind == "clk" else ResetSignal)(domain or "sync")
