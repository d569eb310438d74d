"""A mapping: where segments end, and which chip each layer of each micro-batch runs on."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ouroboros.sw.lib import json_file
from ouroboros.sw.lib.write import write
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.problem.instance import Instance

__all__ = ["SCHEMA", "Chips", "Cuts", "Mapping", "read_mapping", "write_mapping"]

Cuts = npt.NDArray[np.int8]
Chips = npt.NDArray[np.int16]
SCHEMA = "ouroboros-mapping-1"
"""Mark of the files."""


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """The encoding as published; every one is legal."""

    cuts: Cuts
    """1 where a segment ends after a layer, ``(layers - 1,)``."""
    chips: Chips
    """Chip of each layer, ``(micro-batches, layers)``."""


def write_mapping(mapping: Mapping, instance: Instance, path: Path | str) -> None:
    """Write what ``read_mapping`` reads."""
    write(Path(path), json.dumps({
        "schema": SCHEMA, "instance": instance.name, "instance_digest": instance.digest,
        "segmentation": mapping.cuts.tolist(), "layer_to_chip": mapping.chips.tolist()}) + "\n")


def read_mapping(path: Path | str, instance: Instance) -> Mapping:
    """Read a mapping of an instance: ``segmentation`` and ``layer_to_chip``.

    Raises
    ------
    SearchError
        If the file is none, or belongs to another instance; the message names file and key.
    """
    path = Path(path)
    found = json_file.read_object(path, SearchError)
    digest = found.get("instance_digest", instance.digest)
    if digest != instance.digest:
        raise SearchError(f"{path}: instance_digest must be {instance.digest[:16]}.., that of "
                          f"{instance.name}, not {json_file.shown(digest)}: the mapping was made "
                          "for another instance")
    cuts = _row(found.get("segmentation"), f"{path}: segmentation", instance.layers - 1, 2)
    rows = found.get("layer_to_chip")
    batches = len(instance.micro_batches)
    if not isinstance(rows, list) or len(rows) != batches:
        raise SearchError(f"{path}: layer_to_chip must be {batches} lists, one a micro-batch, "
                          f"not {json_file.shown(rows)}")
    chips = [_row(row, f"{path}: layer_to_chip[{n}]", instance.layers, instance.chips)
             for n, row in enumerate(rows)]
    return Mapping(cuts=np.array(cuts, np.int8), chips=np.array(chips, np.int16))


def _row(value: object, where: str, count: int, limit: int) -> list[int]:
    if not isinstance(value, list) or len(value) != count:
        raise SearchError(f"{where} must be a list of {count} whole numbers, "
                          f"not {json_file.shown(value)}")
    for n, one in enumerate(value):
        if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < limit:
            raise SearchError(f"{where}[{n}] must be 0 to {limit - 1}, not {json_file.shown(one)}")
    return value
