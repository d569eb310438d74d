"""Options that several commands have: one name, one meaning, one default."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.api.catalogue import machine_names, model_names
from ouroboros.sw.lib.options import Options, option

__all__ = ["OnMachine", "OnWafer", "WithCheckpoint", "WithDead", "WithDeadLinks",
           "WithShape"]


@dataclass(frozen=True, kw_only=True)
class OnMachine(Options):
    """A machine that simulators run."""

    machine: str = option("small", names=machine_names, metavar="FILE.toml")
    """Shipped machine or path of a TOML file."""


@dataclass(frozen=True, kw_only=True)
class OnWafer(OnMachine):
    """A machine that is calculated with."""

    machine: str = option("wafer", names=machine_names, metavar="FILE.toml")


@dataclass(frozen=True, kw_only=True)
class WithShape(Options):
    """Dimensions of a language model."""

    model: str = option("llama-13b", names=model_names, metavar="FILE.toml")
    """Shipped shape or path of a TOML file."""


@dataclass(frozen=True, kw_only=True)
class WithCheckpoint(Options):
    """Weights of a language model."""

    checkpoint: Path = option(path="any")
    """Name (ouroboros list checkpoints), llama2.c .bin, .gguf or .safetensors file, or Hugging Face
    folder."""
    tokenizer: Path | None = option(None, path="any")
    """tokenizer.json or llama2.c's .bin; by default what lies in the checkpoint or beside it."""


@dataclass(frozen=True, kw_only=True)
class WithDead(Options):
    """Cores that cannot be used."""

    dead: str = option("", metavar="ID,ID,..|FILE.json")
    """Dead cores: ids (x + width * y, both from 0), or a defect map of ouroboros floorplan."""


@dataclass(frozen=True, kw_only=True)
class WithDeadLinks(WithDead):
    """Cores and links that cannot be used."""

    dead_links: str = option("", metavar="ID:PORT,..")
    """Dead links between live cores: id of a core and the port that leads to the other: north,
    east, south or west."""
