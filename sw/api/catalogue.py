"""What there is by name: machines, models, checkpoints, placements, back ends, simulators."""

from importlib.metadata import entry_points
from pathlib import Path

from ouroboros.hw.params.machine import CONFIGS, Machine, load_machine
from ouroboros.sw.models.shape import SHAPES, ModelShape, load_shape

__all__ = ["PLACEMENTS", "PROMPTS", "SHIPPED", "SIMULATORS", "TOKENIZER", "backends",
           "machine_names", "machines", "model_names", "models", "placement_names", "simulators"]

PLACEMENTS = {
    "plain": "a core each for QKV, projection, up/gate, down, and for each KV head",
    "split": "QKV, residual, inputs of down and every KV head over two cores",
    "tiled": "rows and columns of every matrix over as many cores as they fill",
}
"""Layouts of a checkpoint's program, along a snake through the mesh."""
SHIPPED = Path(__file__).parents[1] / "models" / "checkpoints" / "tales.bin"
"""The shipped checkpoint, a llama2.c model of short tales."""
TOKENIZER = SHIPPED.with_name("tales_tokenizer.bin")
"""Its tokenizer."""
PROMPTS = ("Once upon a time", "The dog wanted to", "One day", "In the forest")
"""How tales begin."""
SIMULATORS = ("verilator", "icarus")
"""What runs RTL."""
CYCLE_MODEL = "model"


def machine_names() -> tuple[str, ...]:
    """Shipped machines."""
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.toml")))


def machines() -> tuple[Machine, ...]:
    """Parameters of every shipped machine, smallest first."""
    found = (load_machine(name) for name in machine_names())
    return tuple(sorted(found, key=lambda one: (one.mesh.cores, one.cim.rows)))


def model_names() -> tuple[str, ...]:
    """Shipped shapes of published models."""
    return tuple(sorted(path.stem for path in SHAPES.glob("*.toml")))


def models() -> tuple[ModelShape, ...]:
    """Dimensions of every shipped model, smallest first."""
    found = (load_shape(name) for name in model_names())
    return tuple(sorted(found, key=lambda one: one.weight_bytes))


def placement_names() -> tuple[str, ...]:
    """Layouts that need no file."""
    return tuple(PLACEMENTS)


def backends() -> dict[str, str]:
    """What runs a model: where each back end is, by name."""
    return _points("ouroboros.backends")


def simulators() -> dict[str, str]:
    """What runs an experiment on the network: where each is, by name."""
    return {CYCLE_MODEL: "ouroboros.sw.noc.cycle.model:run", **_points("ouroboros.noc")}


def _points(group: str) -> dict[str, str]:
    return {entry.name: entry.value for entry in sorted(entry_points(group=group))}
