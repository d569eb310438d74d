# %% [markdown]
# # For the architect: change a machine, see what it costs
#
# A machine is a TOML file; every layer reads it: the hardware generator, the mapper, the golden
# models and the formulas for cycles. So a change of one number can be costed in seconds, before a
# simulator is started. This tutorial changes the machine that the shipped model runs on, asks
# which unit binds, and ends with an estimate for a full wafer.

# %%
from dataclasses import replace
from pathlib import Path

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models import checkpoints
from ouroboros.sw.models.shape import load_shape
from ouroboros.sw.perf.pipeline import Prediction
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.wafer.cores import WaferOptions
from ouroboros.sw.wafer.estimate import Wafer

# %% [markdown]
# The machine `small` has 7 x 6 cores of 8 macros. The shipped model is small enough for it. The
# quantiser makes integers of the weights once; the integers do not depend on the machine.

# %%
small = load_machine("small")
folder = Path(str(checkpoints.__file__)).parent
model = open_model(folder / "tales.bin").quantised()
print(f"{small.name}: {small.mesh.cores} cores of {small.core.macros} macros "
      f"of {small.cim.rows} x {small.cim.outputs}")

# %% [markdown]
# `map_model` turns model and machine into a program: instructions and weights for every core.
# `Prediction` reads that program back and adds up its cycles with the formulas that hardware tests
# assert. The *interval* is the time between two tokens when the pipeline is full, the *latency*
# that of one token in an empty machine.


# %%
def predict(machine):
    """Interval, what sets it, and latency of a token at context 128."""
    program = map_model(machine, model)
    time = Prediction(program, prompt_tokens=64, context=128).decode_time
    return time.interval, time.binds, time.latency


for_small = predict(small)
print("small: a token each {} cycles, set by {}; latency {:,} cycles".format(*for_small))

# %% [markdown]
# The SFU binds: it reads the drain stream, 4 elements a cycle. Three changes are tried, each a new
# machine with one number changed: more rows active in a cycle, so that a product takes half the
# time; twice the lanes; and both. Sizes that do not fit each other are refused with a sentence.

# %%
faster_array = replace(small, cim=replace(small.cim, active_rows=16))
wider_sfu = replace(small, core=replace(small.core, lanes=8))
both = replace(wider_sfu, cim=replace(small.cim, active_rows=16))
variants = {"small": small, "16 active rows": faster_array, "8 lanes": wider_sfu, "both": both}
found = {name: predict(machine) for name, machine in variants.items()}
for name, (interval, binds, latency) in found.items():
    print(f"{name:15} interval {interval:4}  latency {latency:6,}  binds: {binds}")

# %% [markdown]
# Wider lanes help, a faster array alone hardly does: it was not what bound. That is the whole
# method: change one thing, look at what binds next.

# %%
assert found["8 lanes"][0] < found["small"][0]
assert found["16 active rows"][0] > found["8 lanes"][0]

try:
    replace(small, core=replace(small.core, lanes=6))
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# ## The wafer
#
# The same formulas, on one core of each kind, give an estimate for a model that no simulator can
# hold. What the estimate takes for granted is part of its result, each value with a source.

# %%
wafer, shape = load_machine("wafer"), load_shape("llama-13b")
estimate = Wafer(wafer, shape, WaferOptions(context=1024))
print(f"{shape.name}: a token each {estimate.interval_cycles} cycles, "
      f"{estimate.prefill_tokens_per_s:,.0f} prompt tokens/s, "
      f"{estimate.decode_tokens_per_s:,.0f} generated tokens/s ({estimate.decode_binds})")

# %% [markdown]
# Half the context leaves room for twice the sequences. Whether decode gains from it depends on what
# binds it.

# %%
shorter = Wafer(wafer, shape, WaferOptions(context=512))
print(f"context 1,024: {estimate.sequences} sequences; context 512: {shorter.sequences}")
assert shorter.sequences > estimate.sequences
assert shorter.decode_tokens_per_s > estimate.decode_tokens_per_s

# %% [markdown]
# Next: `ouroboros wafer --help` for more choices, `docs/generated/machines.md` for every key, and
# `docs/performance.md` for how far such numbers can be trusted.
