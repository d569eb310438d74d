"""Dead routers and links of a mesh."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import MESH_PORTS
from ouroboros.sw.lib import json_file
from ouroboros.sw.noc.errors import NocError

__all__ = ["Faults", "Link", "Position", "parse_links", "random_faults", "read_faults"]

Position = tuple[int, int]
"""x, y of a core; from 1."""
Link = tuple[Position, Position]
"""Two neighbours; dead in both directions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """What is dead in a mesh.

    A link is dead in both directions: credits come back on the other one.

    Raises
    ------
    NocError
        If a router is not in the mesh, or a link does not join two neighbours in it.
    """

    mesh: MeshParams
    """The mesh."""
    routers: frozenset[Position] = frozenset()
    """Dead cores, with their routers and all their links."""
    links: frozenset[Link] = frozenset()
    """Other dead links, either end first."""

    def __post_init__(self) -> None:
        for router in self.routers:
            if not self._inside(router):
                raise NocError(f"dead router must be a core of the {self.mesh.width} x "
                               f"{self.mesh.height} mesh, not {router!r}")
        for one, other in self.links:
            if (not self._inside(one) or not self._inside(other)
                    or abs(one[0] - other[0]) + abs(one[1] - other[1]) != 1):
                raise NocError(f"dead link must join two neighbours in the {self.mesh.width} x "
                               f"{self.mesh.height} mesh, not {one!r} and {other!r}")

    def _inside(self, at: Position) -> bool:
        return 1 <= at[0] <= self.mesh.width and 1 <= at[1] <= self.mesh.height


def random_faults(mesh: MeshParams, routers: int, links: int, seed: int) -> Faults:
    """So many dead routers and links, all equally likely; links between live routers.

    Raises
    ------
    NocError
        If there are not so many.
    """
    rng = random.Random(seed)
    cores = [(x, y) for y in range(1, mesh.height + 1) for x in range(1, mesh.width + 1)]
    if not 0 <= routers <= len(cores):
        raise NocError(f"dead routers must be 0 to {len(cores)}, not {routers!r}")
    dead = frozenset(rng.sample(cores, routers))
    joined = [(at, there) for at in cores
              for there in ((at[0] + 1, at[1]), (at[0], at[1] + 1))
              if there[0] <= mesh.width and there[1] <= mesh.height
              and at not in dead and there not in dead]
    if not 0 <= links <= len(joined):
        raise NocError(f"dead links must be 0 to {len(joined)}, not {links!r}")
    return Faults(mesh=mesh, routers=dead, links=frozenset(rng.sample(joined, links)))


def parse_links(text: str, mesh: MeshParams) -> tuple[Link, ...]:
    """Links that a user names as ``id:port`` with commas between: north, east, south or west of a
    core; ids are x + width * y, from 0. Whether they exist is for ``Faults`` to say.

    Raises
    ------
    NocError
        If one is not ``id:port`` of a core of the mesh.
    """
    ports = {port.name: port for port in MESH_PORTS}
    found: list[Link] = []
    for part in filter(None, map(str.strip, text.split(","))):
        core, _, port = part.partition(":")
        try:
            number, way = int(core), ports[port.strip().upper()]
        except (KeyError, ValueError):
            raise NocError(f"dead links must be core:port with port one of north, east, south and "
                           f"west and commas between, not {part!r}") from None
        if not 0 <= number < mesh.cores:
            raise NocError(f"dead links must be of cores 0 to {mesh.cores - 1}, not {number}")
        at = (number % mesh.width + 1, number // mesh.width + 1)
        found.append((at, way.beyond(at)))
    return tuple(found)


def read_faults(path: Path, mesh: MeshParams) -> Faults:
    """Read a JSON file.

    Either an object with ``routers`` (a list of [x, y]) and ``links`` (a list of pairs of [x, y]),
    coordinates from 1; or with core ids x + width * y, coordinates from 0: ``dead`` of a defect map
    (``ouroboros floorplan``), ``defects`` of a placement instance.

    Raises
    ------
    NocError
        If the file cannot be read or says something else; the message names the file and the key.
    """
    found = json_file.read_value(path, NocError)
    if not isinstance(found, dict) or not {"routers", "links", "dead", "defects"} & found.keys():
        raise NocError(f"{path.name}: must be an object with routers, links, dead or defects")
    for name in ("width", "height"):
        if found.get(name, getattr(mesh, name)) != getattr(mesh, name):
            raise NocError(f"{path.name}: {name} must be {getattr(mesh, name)}, "
                           f"not {found[name]!r}: made for another machine")
    routers = {_position(path, "routers", item) for item in _list(path, found, "routers")}
    for key in ("dead", "defects"):
        for item in _list(path, found, key):
            if type(item) is not int or not 0 <= item < mesh.cores:
                raise NocError(f"{path.name}: {key} must be core ids 0 to {mesh.cores - 1}, "
                               f"not {item!r}")
            routers.add((item % mesh.width + 1, item // mesh.width + 1))
    links = set()
    for item in _list(path, found, "links"):
        if not isinstance(item, list) or len(item) != 2:
            raise NocError(f"{path.name}: links must be pairs of [x, y], not {item!r}")
        one, other = (_position(path, "links", end) for end in item)
        links.add((one, other))
    try:
        return Faults(mesh=mesh, routers=frozenset(routers), links=frozenset(links))
    except NocError as error:
        raise NocError(f"{path.name}: {error}") from None


def _list(path: Path, found: dict[str, Any], key: str) -> Iterable[Any]:
    items = found.get(key, [])
    if not isinstance(items, list):
        raise NocError(f"{path.name}: {key} must be a list, not {items!r}")
    return items


def _position(path: Path, key: str, item: Any) -> Position:
    if (not isinstance(item, list) or len(item) != 2
            or not all(type(number) is int for number in item)):
        raise NocError(f"{path.name}: {key} must have positions [x, y], not {item!r}")
    return item[0], item[1]
