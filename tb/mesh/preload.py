"""Memory images of cores as files, for ``hw.core.preload``."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ouroboros.hw.core.preload import image_file, record
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.program.program import Write

__all__ = ["AFTER_IMAGE_CYCLES", "remove_images", "write_images"]

AFTER_IMAGE_CYCLES = 100
"""From reset until a core has opened its image, and from its last entry until it may sleep."""


def write_images(machine: Machine, images: Mapping[Position, Iterable[Write]],
                 folder: Path) -> int:
    """Write the images of cores into a folder; returns the entries of the longest."""
    longest = 0
    for place, writes in images.items():
        entries = 0
        with (folder / image_file(*place)).open("wb") as file:
            for write in writes:
                for address, value in enumerate(write.values, write.address):
                    file.write(record(machine, write.unit, address, value))
                entries += len(write.values)
        longest = max(longest, entries)
    return longest


def remove_images(folder: Path) -> None:
    """Remove what ``write_images`` wrote."""
    for path in folder.glob("core_*.image"):
        path.unlink()
