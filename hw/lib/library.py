"""Verilog in which each distinct module is emitted once.

Amaranth copies a submodule for every place it is used: a mesh of cores grows with its area. A
``Library`` converts a component to Verilog once, under a given module name, and hands out stand-ins
with the same signature whose body is an ``Instance``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from amaranth import (
    ClockDomain,
    ClockSignal,
    Const,
    DomainRenamer,
    Instance,
    Module,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.back import verilog
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["KEYWORDS", "Library", "LibraryError", "flat_ports"]

KEYWORDS = frozenset("""
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic
    before begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle
    checker class clocking cmos config const constraint context continue cover covergroup coverpoint
    cross deassign default defparam design disable dist do edge else end endcase endchecker endclass
    endclocking endconfig endfunction endgenerate endgroup endinterface endmodule endpackage
    endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event
    eventually expect export extends extern final first_match for force foreach forever fork
    forkjoin function generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins
    implements implies import incdir include initial inout input inside instance int integer
    interconnect interface intersect join join_any join_none large let liblist library local
    localparam logic longint macromodule matches medium modport module nand negedge nettype new
    nexttime nmos nor noshowcancelled not notif0 notif1 null or output package packed parameter pmos
    posedge primitive priority program property protected pull0 pull1 pulldown pullup
    pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime
    ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always
    s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
    signed small soft solve specify specparam static string strong strong0 strong1 struct super
    supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time
    timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union
    unique unique0 unsigned until until_with untyped use uwire var vectored virtual void wait
    wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
""".split())
"""Reserved words of Verilog and SystemVerilog, which no port may be called."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class LibraryError(ValueError):
    """A module cannot be emitted, or not under that name."""


def flat_ports(component: wiring.Component) -> Iterator[tuple[str, wiring.Flow, Value]]:
    """Name, direction and value of every Verilog port of a component, in signature order.

    The names are those of ``amaranth.back.verilog.convert``: path items joined by ``__``. Constant
    members (``ready`` of an ``always_ready`` stream) have no port.
    """
    for path, member, value in component.signature.flatten(component):
        value = Value.cast(value)
        if not isinstance(value, Const):
            yield "__".join(map(str, path)), member.flow, value


class Library:
    """Verilog modules, each converted once however often it is instantiated.

    Parameters
    ----------
    flat : bool
        Hand out the components themselves instead of stand-ins, for Amaranth's own simulator.
    """

    def __init__(self, *, flat: bool = False):
        self.flat = flat
        self._texts: dict[str, str] = {}
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
        _check_name("module", name)
        if name in self._open:
            raise LibraryError(f"module {name!r} must not contain itself: "
                               f"{' > '.join([*self._open, name])}")
        self._open.append(name)
        try:
            component = factory()
            # With a hand-written body, or after an error, it rightly stays without elaboration.
            component._MustUse__silence = True
            for port, _, _ in flat_ports(component):
                _check_name(f"port of module {name!r}", port)
            if name not in self._texts:
                names, falling = frozenset(registered), frozenset(sampled)
                top = _Registered(component, names, falling) if names or falling else component
                self._texts[name] = _convert(name, top)
                self._clocks[name] = _clock_ports(name, self._texts[name], component)
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
        _check_name("module", name)
        if self._texts.setdefault(name, text) != text:
            raise LibraryError(f"module {name!r} must be registered before it is used, "
                               "and with one text only")
        if not re.search(rf"\bmodule\s+{name}\b", text):
            raise LibraryError(f"source of module {name!r} must contain 'module {name}'")
        self._clocks[name] = clocks

    def holds(self, name: str) -> bool:
        """Whether there is a text of module ``name``."""
        return name in self._texts

    def sources(self) -> dict[str, str]:
        """Verilog text of every module by name, children before parents."""
        return dict(self._texts)

    def text(self) -> str:
        """Verilog text of all modules, each once, children before parents."""
        return "\n".join(self._texts.values())


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


def _check_name(what: str, name: str) -> None:
    if not _IDENTIFIER.fullmatch(name):
        raise LibraryError(f"{what} must be a Verilog identifier, not {name!r}")
    if name in KEYWORDS:
        raise LibraryError(f"{what} must not be a Verilog keyword, not {name!r}")


def _convert(name: str, component: wiring.Component) -> str:
    ports = {port: (value, PortDirection.Input if flow is In else PortDirection.Output)
             for port, flow, value in flat_ports(component)}
    text = verilog.convert(component, name=name, ports=ports, emit_src=False,
                           strip_internal_attrs=True)
    text = re.sub(r"\A/\*.*?\*/\s*", "", text)
    text = _TRIGGER.sub(r"  wire \1 = 1'b0;", text)
    text = _UNTRIGGERED.sub(_trigger, text)
    return _READ_REGISTER.sub(r"  reg \1\2 = 0;", text)


# An always @* waits for a change of what it reads, so that Yosys lets it read a variable with an
# initial value. Simulators that initialise variables before they start processes see no change
# there, and what has no other input stays X. The constant of a net arrives after that.
_TRIGGER = re.compile(r"^  reg (\\\$auto\$verilog_backend\S+) +=\s*0;$", re.MULTILINE)
_UNTRIGGERED = re.compile(r"^  always @\*\n    ([^;]*;)$", re.MULTILINE)
# Of a memory's synchronous read port; Amaranth starts it with 0, but Yosys leaves it undefined.
_READ_REGISTER = re.compile(r"^  reg (\[\d+:\d+\] )?(_\d+_);$", re.MULTILINE)


def _trigger(match: re.Match[str]) -> str:
    """A process of one assignment with a trigger of its own, which Yosys gives longer ones only."""
    net = f"\\$auto$verilog_backend$trigger${match.start()} "
    return (f"  wire {net} = 1'b0;\n  always @* begin\n    if ({net}) begin end\n"
            f"    {match[1]}\n  end")


def _clock_ports(name: str, text: str, component: wiring.Component) -> tuple[str, ...]:
    """Ports of the emitted module that are no members of the signature: clocks and resets."""
    header = re.search(rf"^module {name}\((.*?)\);", text, re.DOTALL | re.MULTILINE)
    members = {port for port, _, _ in flat_ports(component)}
    clocks = tuple(port for port in re.findall(r"[^\s,]+", header[1]) if port not in members)
    for port in clocks:
        if not re.fullmatch(r"(\w+_)?(clk|rst)", port):
            raise LibraryError(f"module {name!r} has port {port!r}, which is neither a member of "
                               "its signature nor a clock or reset")
    return clocks


def _domain_signal(port: str) -> Value:
    """``clk``, ``rst``, ``slow_clk`` ... as a signal of the domain where the instance stands."""
    domain, _, kind = port.rpartition("_")
    return (ClockSignal if kind == "clk" else ResetSignal)(domain or "sync")
