import itertools
import os
import re

import pytest
from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ouroboros.hw.lib.library import Library
from ouroboros.tb.flow.build import SIMULATORS, SimulationError, build, run, simulate

BENCH = "ouroboros.tb.lib.bench_once"
STREAMS = {"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))}


class Stage(wiring.Component):
    """A register that adds one; never stalls."""

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += [self.o.payload.eq(self.i.payload + 1), self.o.valid.eq(self.i.valid)]
        return m


class Row(wiring.Component):
    """``width`` instances of one module in a row."""

    def __init__(self, width, place):
        self.width, self.place = width, place
        super().__init__(STREAMS)

    def elaborate(self, platform):
        m = Module()
        parts = [self.place() for _ in range(self.width)]
        m.submodules += parts
        connect(m, flipped(self.i), parts[0].i)
        for left, right in itertools.pairwise(parts):
            connect(m, left.o, right.i)
        connect(m, parts[-1].o, flipped(self.o))
        return m


class Half(wiring.Component):
    """Amaranth emits the constant half as a process of its own, without inputs."""

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.q.low.eq(5)
        with m.If(self.a):
            m.d.comb += self.q.high.eq(3)
        return m


def chain(**options) -> dict[str, str]:
    """Two rows of three stages: three levels of modules."""
    library = Library()

    def stage():
        return library.instance("stage", lambda: Stage(STREAMS), params=None)

    def row():
        return library.instance("row", lambda: Row(3, stage), params=3, **options)

    library.define("chain", lambda: Row(2, row), params=2)
    return library.sources()


@pytest.fixture
def build_root(monkeypatch, tmp_path):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    monkeypatch.delenv("WAVES", raising=False)
    return tmp_path


def test_top_must_be_a_module():
    with pytest.raises(ValueError, match=r"^top must be one of stage, row, chain, not 'die'$"):
        build("die", chain(), sim="icarus")


def test_hier_blocks_must_be_modules():
    with pytest.raises(ValueError, match=r"^hier_blocks must be modules of the design, "
                                         r"not 'core'$"):
        build("chain", chain(), sim="icarus", hier_blocks=["core"])


def test_shared_must_be_modules():
    with pytest.raises(ValueError, match=r"^shared must be modules of the design, not 'core'$"):
        build("chain", chain(), sim="icarus", shared=["core"])


def test_unknown_simulator():
    with pytest.raises(ValueError, match=r"^simulator must be one of icarus, verilator, "
                                         r"not 'questa'$"):
        build("chain", chain(), sim="questa")


@pytest.mark.sim
@pytest.mark.parametrize("registered", [[], ["rst"]])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_nested_design(sim, registered):
    """Modules emitted once work in both simulators, a level of them compiled by itself."""
    results = simulate("chain", chain(registered=registered), sim=sim, test_module=BENCH,
                       env={"STAGES": "6"}, hier_blocks=["row"])
    assert results.tests == 1


@pytest.mark.sim
def test_shared_code(build_root):
    """Six stages, one class of C++ whose inputs are its own, behave as six."""
    built = build("chain", chain(), sim="verilator", shared=["stage"])
    assert run(built, test_module=BENCH, env={"STAGES": "6"}).tests == 1
    header = (built.directory / "Vtop_stage.h").read_text()
    assert all(re.search(rf"\W{name}[,;]", header.replace("___05F", "_").replace("_05F", "_"))
               for name in ("i_payload", "i_valid", "rst"))


@pytest.mark.sim
def test_flat_verilator():
    simulate("chain", chain(), sim="verilator", test_module=BENCH, env={"STAGES": "6"})


@pytest.mark.sim
@pytest.mark.parametrize("sim", SIMULATORS)
def test_constant_half(sim):
    layout = data.StructLayout({"low": 4, "high": 4})
    library = Library()
    library.define("half", lambda: Half({"a": In(1), "q": Out(layout)}), params=None)
    simulate("half", library.sources(), sim=sim, test_module="ouroboros.tb.lib.bench_constant")


SHELL = {
    "STAGES": "99", "COCOTB_TEST_FILTER": "none", "COCOTB_RANDOM_SEED": "x", "COCOTB_TOPLEVEL": "x",
    "COCOTB_TEST_MODULES": "x", "GPI_USERS": "x", "GUI": "1", "SIM_CMD_PREFIX": "false",
    "VERILATOR_ROOT": "/nowhere", "VERILATOR_BIN": "/nowhere/bin", "OBJCACHE": "/nowhere/ccache",
    "CCACHE_PREFIX": "/nowhere/distcc", "MAKEFLAGS": "-n", "CXXFLAGS": "--none", "MAKEFILES": "/x",
}
"""Variables that users have for other purposes, and that cocotb, make or Verilator would obey."""


@pytest.mark.sim
@pytest.mark.parametrize("sim", SIMULATORS)
def test_shell_does_not_reach_the_tools(sim, build_root, monkeypatch):
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    results = simulate("chain", chain(), sim=sim, test_module=BENCH, env={"STAGES": "6"})
    assert results.tests > 0
    assert {name: os.environ[name] for name in SHELL} == SHELL


@pytest.mark.parametrize(("name", "value", "rule"), [
    ("WAVES", "true", "0 or 1"), ("WAVES", "2", "0 or 1"), ("SEED", "abc", "0 to 4294967295"),
    ("SEED", "-1", "0 to 4294967295"), ("SEED", "4294967296", "0 to 4294967295")])
def test_variables_are_refused_before_the_build(build_root, monkeypatch, name, value, rule):
    monkeypatch.setenv(name, value)
    with pytest.raises(SimulationError, match=f"^variable {name} must be {rule}, not '{value}'$"):
        build("chain", chain(), sim="icarus")
    assert not list(build_root.iterdir())


@pytest.mark.sim
def test_build_is_kept(build_root):
    first = build("chain", chain(), sim="icarus")
    stamp = (first.directory / "sim.vvp").stat().st_mtime_ns
    again = build("chain", chain(), sim="icarus")
    assert again == first
    assert (again.directory / "sim.vvp").stat().st_mtime_ns == stamp
    other = build("chain", chain(registered=["rst"]), sim="icarus")
    assert other.directory != first.directory


@pytest.mark.sim
@pytest.mark.parametrize("sim", SIMULATORS)
def test_waves(sim, build_root):
    """Waveforms show what is inside, even of a module that would be compiled by itself."""
    results = simulate("chain", chain(), sim=sim, test_module=BENCH, env={"STAGES": "6"},
                       hier_blocks=["row"], waves=True)
    assert results.waves.stat().st_size > 1000


@pytest.mark.sim
def test_failure_shows_the_log(build_root):
    message = f"{BENCH} on 'chain' under icarus, seed 7"
    with pytest.raises(SimulationError, match=f"^{re.escape(message)}") as raised:
        simulate("chain", chain(), sim="icarus", test_module=BENCH, seed=7,
                 env={"STAGES": "6", "FAIL": "1"})
    assert "failure on request" in str(raised.value)


@pytest.mark.sim
def test_no_tests_is_a_failure(build_root):
    with pytest.raises(SimulationError):
        run(build("chain", chain(), sim="icarus"), test_module=BENCH, env={"STAGES": "6"},
            test_filter="nothing_has_this_name")


@pytest.mark.sim
@pytest.mark.parametrize("sim", SIMULATORS)
def test_bad_verilog_is_refused(sim, build_root):
    message = f"build of 'top' by {sim} failed: "
    with pytest.raises(SimulationError, match=f"^{re.escape(message)}") as raised:
        build("top", {"top": "module top(clk);\n  input clk;\n  wire w = ;\nendmodule\n"}, sim=sim)
    assert "top.sv:3" in str(raised.value)
    assert not list(build_root.glob("*/*/done"))
