"""What there is by name: machines, models, checkpoints, back ends, simulators."""

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from ouroboros.hw.params.machine import CONFIGS, Machine, load_machine
from ouroboros.sw.models import named
from ouroboros.sw.models.shape import SHAPES, ModelShape, load_shape

__all__ = ["PLACEMENTS", "PROMPTS", "SHIPPED", "SIMULATORS", "TOKENIZER", "Named", "backends",
           "checkpoints", "machine_names", "machines", "model_names", "models",
           "placement_names", "simulators"]

PLACEMENTS = {
    "plain": "a core each for QKV, projection, up/gate, down, and for each KV head",
    "split": "QKV, residual, inputs of down and every KV head over two cores",
    "tiled": "rows and columns of every matrix over as many cores as they fill",
}
"""Layouts of a checkpoint's program, along a snake through the mesh."""
SHIPPED = named.SHIPPED["tales"]
"""The shipped checkpoint, a llama2.c model of short tales."""
TOKENIZER = SHIPPED.with_name("tales_tokenizer.bin")
"""Its tokenizer."""
PROMPTS = ("Once upon a time", "The dog wanted to", "One day", "In the forest")
"""How tales begin."""
SIMULATORS = ("verilator", "icarus")
"""What runs RTL."""
CYCLE_MODEL = "model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A checkpoint that ``--checkpoint`` takes by name."""

    name: str
    """The name."""
    words: str
    """What it is."""
    licence: str
    """Of its weights."""
    size_bytes: int
    """Of its file."""
    path: Path
    """Where it lies, or will lie."""
    there: bool
    """Whether it does."""


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


def checkpoints() -> tuple[Named, ...]:
    """Checkpoints by name: the shipped one, and published ones, fetched or not."""
    shipped = (Named(name=name, words="short tales, for small", licence="Apache-2.0",
                     size_bytes=path.stat().st_size, path=path, there=True)
               for name, path in named.SHIPPED.items())
    published = (Named(name=one.name, words=one.words, licence=one.licence, path=one.path,
                       size_bytes=one.size_bytes, there=one.path.is_file())
                 for one in named.PUBLISHED.values())
    return (*shipped, *published)


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
