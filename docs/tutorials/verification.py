# %% [markdown]
# # For the verification engineer: break a block, see its bench fail
#
# Every block has a golden model and a bench that runs under both simulators. A bench is worth as
# much as the faults it finds, so this tutorial breaks one on purpose: the adder tree that adds what
# the macros of a core bring.

# %%
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from ouroboros.hw.array.tree import AdderTree
from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.flow.build import SimulationError, build, run

machine = load_machine("tiny")
BENCH = "ouroboros.tb.array.bench_tree"
ENVIRONMENT = {"MACHINE": machine.name, "BEATS": "50", "STALL": "0.5"}

# %% [markdown]
# `docs/blocks.md` says where everything about a block is: here `hw/array/tree.py`,
# `sw/golden/tree.py`, `tb/array/bench_tree.py` and `tests/hw/array/test_tree.py`.
#
# The library turns a component into Verilog. `build` compiles it once for a simulator, `run` runs a
# bench on it and raises if a test fails.


# %%
def design(component):
    """The Verilog of a component under the name that it has as the top module."""
    library = Library()
    library.define("adder_tree", lambda: component(machine), params=machine)
    return build("adder_tree", library.sources(), sim="icarus", waves=True)


good = run(design(AdderTree), test_module=BENCH, env=ENVIRONMENT, seed=1)
print(f"{good.tests} test passed")

# %% [markdown]
# Now the fault: a tree that forgets macro 2. It has the ports of the real one and holds the real
# one, but clears a bit of the mask on the way in. Nothing hangs, most sums are right when few
# macros take part, and no port behaves oddly.


# %%
class ForgetfulTree(wiring.Component):
    """An adder tree that never counts macro 2."""

    def __init__(self, machine):
        self.tree = AdderTree(machine)
        super().__init__(self.tree.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.tree = tree = self.tree
        connect(m, flipped(self.o), tree.o)
        m.d.comb += [
            tree.i.valid.eq(self.i.valid),
            tree.i.p.eq(self.i.p),
            tree.i.p.mask.eq(self.i.p.mask & ~(1 << 2)),
            self.i.ready.eq(tree.i.ready),
        ]
        return m


broken = design(ForgetfulTree)
try:
    run(broken, test_module=BENCH, env=ENVIRONMENT, seed=1)
except SimulationError as error:
    message = str(error)
else:
    raise AssertionError("the bench must see the fault")

# %% [markdown]
# The message names the bench, the simulator and the seed, so that the same run can be had again,
# and ends with the log: which item differs, what came and what was expected.

# %%
print(message.splitlines()[0])
print(next(line.strip() for line in message.splitlines() if "AssertionError:" in line))
assert "seed 1" in message and "expected" in message

# %% [markdown]
# Both builds recorded waveforms. The file opens in any viewer of FST; for a test of the project
# `make waves K=test_tree` does the same and prints the path.

# %%
(waves,) = broken.directory.glob("runs/*/waves.fst")
print(f"waveform: {waves.name}, {waves.stat().st_size > 0 and 'not empty'}")
assert waves.stat().st_size

# %% [markdown]
# A fault in a whole machine is found in the same way, one level up: `ouroboros run --on verilator`
# compares every logit with the golden decoder, and if one differs a second pass says which core
# sent the first wrong word, in which cycle, and which command records waveforms there.
#
# Where to go on: `tests/formal` breaks queue, arbiter, channel and router in the same way and sees
# their proofs fail; `docs/proofs.md` says what is proved. A new block needs a golden model, a bench
# and a test of its own name: `docs/blocks.md` is made from the sources, and a test fails if one is
# missing.
