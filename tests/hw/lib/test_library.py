import gc
import itertools
import re
from functools import cache

import pytest
from amaranth import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from ouroboros.hw.lib.library import Library, LibraryError, _Registered, flat_ports

# Refused designs stay half built, which Amaranth would report when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")

PAIR = data.StructLayout({"a": 4, "b": 4})


@pytest.fixture(autouse=True)
def collect():
    yield
    gc.collect()


class Step(wiring.Component):
    """A register stage, with every kind of member."""

    def __init__(self, amount: int = 1):
        self.amount = amount
        super().__init__({
            "i":     In(stream.Signature(PAIR)),
            "o":     Out(stream.Signature(PAIR)).array(2),
            "scale": In(4).array(2),
            "tick":  In(stream.Signature(1, always_ready=True)),
        })

    def elaborate(self, platform):
        m = Module()
        for o in self.o:
            m.d.sync += o.p.a.eq(self.i.p.a + self.amount)
            m.d.sync += o.p.b.eq(self.i.p.b + self.scale[1])
            m.d.sync += o.valid.eq(self.i.valid)
        m.d.comb += self.i.ready.eq(1)
        return m


class Pair(wiring.Component):
    """Two steps in a row, through a library."""

    def __init__(self, library: Library, amounts: tuple[int, int] = (1, 1)):
        self.library, self.amounts = library, amounts
        super().__init__({"i": In(stream.Signature(PAIR)), "o": Out(stream.Signature(PAIR)),
                          "scale": In(4)})

    def elaborate(self, platform):
        m = Module()
        first, second = (self.library.instance("step", lambda: Step(1), params=amount)
                         for amount in self.amounts)
        m.submodules.first = first
        m.submodules.second = second
        connect(m, flipped(self.i), first.i)
        connect(m, first.o[0], second.i)
        connect(m, second.o[0], flipped(self.o))
        m.d.comb += second.scale[1].eq(self.scale)
        return m


class Quad(wiring.Component):
    """Two pairs in a row: a third level."""

    def __init__(self, library: Library):
        self.library = library
        super().__init__({"i": In(stream.Signature(PAIR)), "o": Out(stream.Signature(PAIR))})

    def elaborate(self, platform):
        m = Module()
        pairs = [self.library.instance("pair", lambda: Pair(self.library), params=None)
                 for _ in range(2)]
        m.submodules += pairs
        connect(m, flipped(self.i), pairs[0].i)
        connect(m, pairs[0].o, pairs[1].i)
        connect(m, pairs[1].o, flipped(self.o))
        return m


def new_quad() -> Library:
    library = Library()
    library.define("quad", lambda: Quad(library), params=None)
    return library


@cache
def quad() -> Library:
    """For those who only look: converting takes half a second."""
    return new_quad()


def one_port(name: str) -> wiring.Component:
    class OnePort(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.d.sync += self.q.eq(getattr(self, name))
            return m
    return OnePort({name: In(1), "q": Out(1)})


def refused(message: str):
    return pytest.raises(LibraryError, match=f"^{re.escape(message)}$")


def ports_of(text: str, module: str) -> set[str]:
    header = re.search(rf"^module {module}\((.*?)\);", text, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"[^\s,]+", header[1]))


def test_every_module_once_children_first():
    library = quad()
    assert list(library.sources()) == ["step", "pair", "quad"]
    assert re.findall(r"^module (\w+)", library.text(), re.MULTILINE) == ["step", "pair", "quad"]


def test_every_place_is_an_instance():
    text = quad().text()
    assert len(re.findall(r"^  step \S+ +\(", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^  pair \S+ +\(", text, re.MULTILINE)) == 2


def test_ports_are_those_of_the_module():
    text = quad().text()
    assert ports_of(text, "step") == {
        "clk", "rst", "i__payload", "i__valid", "i__ready", "o__0__payload", "o__0__valid",
        "o__0__ready", "o__1__payload", "o__1__valid", "o__1__ready", "scale__0", "scale__1",
        "tick__payload", "tick__valid"}
    placed = re.search(r"^  step \S+ +\((.*?)^  \);", text, re.DOTALL | re.MULTILINE)[1]
    assert set(re.findall(r"\.(\w+)\(", placed)) == ports_of(text, "step")


def test_stand_in_has_the_signature():
    assert Library().instance("step", Step, params=1).signature == Step().signature


class Half(wiring.Component):
    """One part of its output is constant, the other in a process of its own."""

    def __init__(self):
        super().__init__({"a": In(1), "q": Out(PAIR)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.q.a.eq(5)
        with m.If(self.a):
            m.d.comb += self.q.b.eq(3)
        return m


def test_processes_read_a_net():
    """One without inputs would never run, nor would one whose only input is a variable's init."""
    library = Library()
    library.define("half", Half, params=None)
    processes = library.text().split("always @*")[1:]
    assert processes
    for process in processes:
        assert re.match(r" begin\n +if \(at_start\) begin end\n", process)
    assert len(re.findall(r"^  wire at_start = 1.b0;$", library.text(), re.MULTILINE)) == 1
    assert "$auto" not in library.text()


class Memo(wiring.Component):
    """A memory with a synchronous and an asynchronous read port."""

    def __init__(self):
        super().__init__({"at": In(2), "late": Out(4), "now": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=4, depth=4, init=[])
        late, now = memory.read_port(), memory.read_port(domain="comb")
        m.d.comb += [late.addr.eq(self.at), now.addr.eq(self.at),
                     self.late.eq(late.data), self.now.eq(now.data)]
        return m


def test_read_registers_and_memories_start_with_zero():
    library = Library()
    library.define("memo", Memo, params=None)
    text = library.text()
    assert set(re.findall(r"^ +(\S+) <= ", text, re.MULTILINE)) == {"read$0"}
    assert re.findall(r"^  reg .*read.*;$", text, re.MULTILINE) == ["  reg [3:0] read$0 = 0;"]
    loop = ("for (memory$row = 0; memory$row <= 3; memory$row = memory$row + 1)\n"
            "    memory[memory$row] = 4'd0;\n")
    assert loop in text


def test_tables_are_kept():
    class Table(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.submodules.rom = rom = Memory(shape=4, depth=3, init=[0, 7, 9])
            read = rom.read_port(domain="comb")
            m.d.comb += [read.addr.eq(self.at), self.q.eq(read.data)]
            return m

    library = Library()
    library.define("table_", lambda: Table({"at": In(2), "q": Out(4)}), params=None)
    assert re.findall(r"rom\[(\d)\] = 4'h(\d);", library.text()) == [
        ("0", "0"), ("1", "7"), ("2", "9")]
    assert "$row" not in library.text()


class Twins(wiring.Component):
    """Two components of one kind, which the library was not asked for, and one of another size."""

    def __init__(self, amounts=(1, 1, 2)):
        self.amounts = amounts
        super().__init__({"i": In(stream.Signature(PAIR)), "o": Out(stream.Signature(PAIR))})

    def elaborate(self, platform):
        m = Module()
        steps = [DomainRenamer("slow")(Step(amount)) for amount in self.amounts]
        m.domains.slow = ClockDomain()
        m.d.comb += [ClockSignal("slow").eq(ClockSignal())]
        for n, step in enumerate(steps):
            m.submodules[f"step_{n}"] = step
        connect(m, flipped(self.i), steps[0].i)
        for before, after in itertools.pairwise(steps):
            connect(m, before.o[0], after.i)
        connect(m, steps[-1].o[0], flipped(self.o))
        return m


def test_components_are_modules_and_equal_ones_are_one():
    library = Library()
    library.define("twins", Twins, params=None)
    assert list(library.sources()) == ["twins_step", "twins_step_2", "twins"]
    text = library.text()
    assert re.findall(r"^  (twins_step\w*) (\w+) \(", text, re.MULTILINE) == [
        ("twins_step", "step_0"), ("twins_step", "step_1"), ("twins_step_2", "step_2")]
    assert "module twins_step(clk, rst, i__payload, i__valid, i__ready, o__0__payload, " in text


def test_a_component_that_shares_more_than_its_ports_is_no_module():
    class Inside(wiring.Component):
        def __init__(self):
            self.secret = Signal(4)
            super().__init__({"q": Out(4)})

        def elaborate(self, platform):
            m = Module()
            m.d.sync += self.secret.eq(self.secret + 1)
            m.d.comb += self.q.eq(self.secret)
            return m

    class Outside(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.submodules.inside = inside = Inside()
            m.d.comb += self.q.eq(inside.secret + inside.q)
            return m

    library = Library()
    library.define("outside", lambda: Outside({"q": Out(4)}), params=None)
    assert list(library.sources()) == ["outside_inside", "outside"]


def test_a_field_may_be_called_like_a_port():
    class Same(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            drain = Signal(data.StructLayout({"valid": 1, "rest": 3}))
            m.d.comb += [drain.eq(self.a), self.q.eq(drain.rest), self.drain.valid.eq(drain.valid)]
            return m

    library = Library()
    library.define("same", lambda: Same({
        "a": In(4), "q": Out(3), "drain": Out(stream.Signature(1, always_ready=True))}),
        params=None)
    declared = re.findall(r"^  wire (?:\[.*\] )?(\S+)\b", library.text(), re.MULTILINE)
    assert {"drain__valid", "drain$valid"} <= {*declared}
    assert len(declared) == len({*declared})


def test_a_clock_of_a_part_is_not_for_others():
    class Maker(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.domains.made = ClockDomain()
            m.d.comb += [ClockSignal("made").eq(ClockSignal()), self.q.eq(1)]
            return m

    class User(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.submodules.maker = Maker({"q": Out(1)})
            m.d.made += self.q.eq(~self.q)
            return m

    with refused("module 'user' must not use clock 'made' of one of its parts"):
        Library().define("user", lambda: User({"q": Out(1)}), params=None)


def test_sources_of_lines_are_comments():
    text = quad().text()
    assert re.search(r"^// tests|^// hw", text, re.MULTILINE) is None    # tests are not the project
    assert "(*" not in text and "\\" not in text


def test_no_signal_without_bits():
    class Narrow(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            nothing = Signal(0)
            m.d.comb += [nothing.eq(self.a), self.q.eq(Cat(nothing, self.a))]
            return m

    library = Library()
    library.define("narrow", lambda: Narrow({"a": In(1), "none": In(0), "q": Out(1)}), params=None)
    assert "[-1:0]" not in library.text() and "none" not in library.text()


def test_text_is_deterministic():
    assert new_quad().text() == quad().text()


def test_flat_ports_leave_out_constants():
    assert "tick__ready" not in {name for name, _, _ in flat_ports(Step())}


def test_name_clash():
    library = Library()
    library.define("step", Step, params=1)
    with refused("module 'step' must be built from 1 everywhere, not 2"):
        library.define("step", Step, params=2)


def test_name_clash_below():
    library = Library()
    library.define("step", Step, params=2)
    with refused("module 'step' must be built from 2 everywhere, not 1"):
        library.define("pair", lambda: Pair(library), params=None)


@pytest.mark.parametrize("name", ["final", "do", "bit", "reg", "priority"])
def test_port_keyword(name):
    with refused(f"port of module 'top' must not be a Verilog keyword, not '{name}'"):
        Library().define("top", lambda: one_port(name), params=None)


@pytest.mark.parametrize("name, message", [
    ("module", "module must not be a Verilog keyword, not 'module'"),
    ("a.b", "module must be a Verilog identifier, not 'a.b'"),
])
def test_module_name(name, message):
    with refused(message):
        Library().define(name, Step, params=None)


def test_recursion():
    library = Library()

    class Loop(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.submodules.inner = library.instance("loop", lambda: Loop({"q": Out(1)}), params=None)
            return m

    with refused("module 'loop' must not contain itself: loop > loop"):
        library.define("loop", lambda: Loop({"q": Out(1)}), params=None)


def test_combinational_module_has_no_clock():
    class Wire(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.q.eq(~self.a)
            return m

    class Top(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.submodules.wire = wire = library.instance(
                "inverter", lambda: Wire({"a": In(1), "q": Out(1)}), params=None)
            m.d.comb += [wire.a.eq(self.a), self.q.eq(wire.q)]
            return m

    library = Library()
    library.define("top", lambda: Top({"a": In(1), "q": Out(1)}), params=None)
    assert ports_of(library.text(), "inverter") == {"a", "q"}


def test_other_domain():
    class Slow(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.d.slow += self.q.eq(~self.q)
            return m

    class Top(wiring.Component):
        def elaborate(self, platform):
            m = Module()
            m.domains.slow = ClockDomain()
            m.d.comb += ClockSignal("slow").eq(ClockSignal())
            m.submodules.slow = slow = library.instance(
                "blink", lambda: Slow({"q": Out(1)}), params=None)
            m.d.comb += self.q.eq(slow.q)
            return m

    library = Library()
    library.define("top", lambda: Top({"q": Out(1)}), params=None)
    assert ports_of(library.text(), "blink") == {"q", "slow_clk", "slow_rst"}
    assert ".slow_clk(clk)" in library.text()


TWIN = "module step(input clk, input rst);\nendmodule\n"


def test_twin_takes_the_place():
    library = Library()
    library.add_source("step", TWIN)
    library.define("pair", lambda: Pair(library), params=None)
    assert library.sources()["step"] == TWIN
    assert "step first (" in library.text()


def test_twin_too_late():
    library = new_quad()
    with refused("module 'step' must be registered before it is used, and with one text only"):
        library.add_source("step", TWIN)


def test_twin_of_another_name():
    with refused("source of module 'step' must contain 'module step'"):
        Library().add_source("step", "module other(input clk);\nendmodule\n")


def test_registered_unknown():
    with refused("registered must be inputs of the module, not 'q'"):
        Library().define("top", lambda: one_port("a"), params=None, registered=["q"])


def test_twin_leaves_no_warning():
    library = Library()
    library.add_source("step", TWIN)
    library.define("step", Step, params=None, registered=["rst"])
    assert library.text() == TWIN


def test_registered_ports_are_the_same():
    library = Library()
    library.define("step", Step, params=None, registered=["rst", "scale__1"])
    plain = Library()
    plain.define("step", Step, params=None)
    assert ports_of(library.text(), "step") == ports_of(plain.text(), "step")
    assert "scale__1_entry" in library.text()


def test_sampled_unknown():
    for names in (["q"], ["scale__1"]):
        with refused("sampled must be inputs of the module that are not registered, not "
                     f"{names[0]!r}"):
            Library().define("step", Step, params=None, registered=["scale__1"], sampled=names)


def test_sampled_changes_no_cycle():
    """An input that is sampled at the falling edge is seen at the next rising edge, as without."""
    seen = {}
    for sampled in ((), ("i__payload",)):
        dut = _Registered(Step(), frozenset(), frozenset(sampled))
        values = seen[bool(sampled)] = []

        async def bench(ctx, dut=dut, values=values):
            for n in range(6):
                ctx.set(dut.i.p, {"a": n, "b": 0})
                await ctx.tick()
                values.append(ctx.get(dut.o[0].p.a))

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
    assert seen[True] == seen[False] == [1, 2, 3, 4, 5, 6]


def test_flat_library_simulates():
    library = Library(flat=True)
    dut = Pair(library)
    seen = []

    async def bench(ctx):
        ctx.set(dut.i.p, {"a": 3, "b": 5})
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.scale, 2)
        await ctx.tick().repeat(2)
        seen.append((ctx.get(dut.o.p.a), ctx.get(dut.o.p.b)))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [(5, 7)]


def test_flat_library_has_no_text():
    with refused("flat library must be used through instance() only"):
        Library(flat=True).define("step", Step, params=None)
