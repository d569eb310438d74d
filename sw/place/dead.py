"""Dead cores as a user names them: ids, or a defect map."""

from pathlib import Path

from ouroboros.hw.params.machine import MeshParams
from ouroboros.sw.lib import json_file
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.place.instance import Grid

__all__ = ["dead_cores"]


def dead_cores(dead: str, mesh: MeshParams | Grid) -> tuple[int, ...]:
    """Ascending ids of the dead cores that ``--dead`` names.

    Raises
    ------
    OuroborosError
        If they are no ids of the mesh, or the file is no defect map of such a mesh.
    """
    where = "dead cores"
    if dead.endswith(".json"):
        where = f"{dead}: key 'dead'"
        ids = _read_map(dead, mesh)
    else:
        try:
            ids = [int(part) for part in dead.split(",") if part]
        except ValueError:
            raise OuroborosError(f"dead cores must be whole numbers with commas between or a "
                                 f".json file, not {dead!r}") from None
    for core in ids:
        if not 0 <= core < mesh.cores:
            raise OuroborosError(f"{where} must be cores 0 to {mesh.cores - 1}, not {core}")
    return tuple(sorted(set(ids)))


def _read_map(path: str, mesh: MeshParams | Grid) -> list[int]:
    found = json_file.read_object(Path(path))
    for name in ("width", "height"):
        if found.get(name) != getattr(mesh, name):
            raise OuroborosError(f"{path}: key {name!r} must be {getattr(mesh, name)}, not "
                                 f"{found.get(name)!r}: made for another machine")
    ids = found.get("dead")
    if not isinstance(ids, list) or not all(type(core) is int for core in ids):
        raise OuroborosError(f"{path}: key 'dead' must be a list of core ids")
    return ids
