"""Checks an emitted machine by its text alone: every link, every coordinate, every edge port.

Nothing of what wrote the text is used, only the machine's parameters and what a link must be: so a
link that goes to the wrong neighbour, is driven twice or not at all, or crosses a border without a
die link, is found here.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import MESH_PORTS, Port
from ouroboros.hw.params.position import Position
from ouroboros.tb.emit.netlist import Module, NetlistError, Value, read_module, value_of

__all__ = ["Checked", "check_connectivity"]

LEAVES = ("tile", "host_port", "die_link")
INSIDE = {"i": "o", "o": "i"}
"""Far end of a die link, by end."""
_GUARDED = re.compile(r"^([\w$]+)(?: & (.+))?$")

Place = tuple[str, ...]
"""Names of instances from the top down."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What was found."""

    tiles: int
    """Tiles that work."""
    links: int
    """Directed links between tiles that work, or with a host."""
    die_links: int
    """Those of them over a border between dies."""
    edge_ports: Mapping[Position, str]
    """What is at each place just outside the mesh: a host's ports by name, or nothing."""


@dataclass(slots=True)
class _Design:
    modules: dict[str, Module]
    top: str
    parents: dict[Place, Module] = field(default_factory=dict)
    values: dict[tuple[Place, str], Value] = field(default_factory=dict)
    drivers: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)


def check_connectivity(texts: Mapping[str, str], machine: Machine,
                       dead: Collection[Position] = ()) -> Checked:
    """Follow every link of a machine back to where it comes from.

    Parameters
    ----------
    texts : Mapping[str, str]
        Text by module; the last one is the top.
    dead : Collection[Position]
        Cores that do not work.

    Raises
    ------
    NetlistError
        Names the first thing that is not as it must be.
    """
    top = list(texts)[-1]
    names = [name for name in ("die", "wafer", *LEAVES) if name in texts]
    design = _Design({name: read_module(texts[name]) for name in names}, top)
    for module in (design.modules[name] for name in names if name not in LEAVES):
        design.drivers[module.name] = _drivers(design, module)
    tiles, hosts = _instances(design)
    mesh, lost = machine.mesh, set(dead)
    places = _coordinates(design, tiles, machine)
    expected = {*mesh.coordinates} - lost
    if missing := expected - {*places}:
        raise NetlistError(f"there must be a tile at {min(missing)}")
    ends = {(tile, f"outputs__{port}"): (at, port) for at, tile in places.items()
            for port in MESH_PORTS}
    ends |= {(host, "link_out"): (at, None) for at, host in zip(mesh.hosts, hosts, strict=True)}
    links = die_links = 0
    used: Counter[tuple[Place, str]] = Counter()
    for at in sorted(expected):
        tile, mask = places[at], 1 << Port.LOCAL
        for port in MESH_PORTS:
            far = port.beyond(at)
            there = far in expected or far in mesh.hosts
            mask |= there << port
            source, crossed = _link(design, tile, f"inputs__{port}", ("valid", "flit"))
            wanted = None if not there else (far, None if far in mesh.hosts else port.opposite)
            found = None if source is None else ends.get(source)
            if found != wanted:
                raise NetlistError(f"input {port.name} of tile {at} must come from {wanted}, "
                                   f"not {source}")
            back, crossed_back = _link(design, tile, f"outputs__{port}", ("credit",))
            if there:
                ends_at = ((hosts[mesh.hosts.index(far)], "link_in") if far in mesh.hosts
                           else (places[far], f"inputs__{port.opposite}"))
                if back != ends_at:
                    raise NetlistError(f"output {port.name} of tile {at} must get its credits "
                                       f"from {ends_at}, not {back}")
                if not crossed == crossed_back == mesh.crosses(at, far):
                    raise NetlistError(f"link between {at} and {far} must "
                                       f"{'' if mesh.crosses(at, far) else 'not '}pass a die link")
                links, die_links = links + 1, die_links + crossed
                used[source] += 1
            elif back is not None:
                raise NetlistError(f"output {port.name} of tile {at} must get no credits, "
                                   f"not those of {back}")
        _, connected = _port_value(design, tile, "connected")
        if connected != mask:
            raise NetlistError(f"tile {at} must be told connected {mask:05b}, not {connected:05b}")
    for host, at in zip(hosts, mesh.hosts, strict=True):
        source, _ = _link(design, host, "link_in", ("valid", "flit"))
        if source is None or ends.get(source, (None, None))[0] not in expected:
            raise NetlistError(f"host port at {at} must be beside a tile that works")
        links, used[source] = links + 1, used[source] + 1
    if twice := [end for end, count in used.items() if count > 1]:
        raise NetlistError(f"{twice[0]} must lead to one place")
    edges = {(x, y): "" for x in (0, mesh.width + 1) for y in range(1, mesh.height + 1)}
    edges |= {(x, y): "" for y in (0, mesh.height + 1) for x in range(1, mesh.width + 1)}
    edges |= {at: host[-1] for at, host in zip(mesh.hosts, hosts, strict=True)}
    return Checked(tiles=len(expected), links=links, die_links=die_links, edge_ports=edges)


def _drivers(design: _Design, module: Module) -> dict[str, tuple[str, str]]:
    """Instance and port that drives each net of a module; expressions are in ``driven``."""
    found: dict[str, tuple[str, str]] = {}
    for name, (kind, ports) in module.placed.items():
        known = design.modules[kind].ports
        if unknown := ports.keys() - known.keys():
            raise NetlistError(f"module {kind} must have a port {min(unknown)}")
        if missing := {port for port, (way, _) in known.items() if way == "input"} - ports.keys():
            raise NetlistError(f"{name} in {module.name} must have its input {min(missing)} driven")
        for port, expression in ports.items():
            if known[port][0] == "input" or not expression:
                continue
            if expression in found or expression in module.driven \
                    or module.ports.get(expression, ("output",))[0] == "input":
                raise NetlistError(f"net {expression} of {module.name} must be driven once")
            found[expression] = name, port
    return found


def _instances(design: _Design) -> tuple[list[Place], list[Place]]:
    """Tiles and host ports."""
    tiles: list[Place] = []
    hosts: list[Place] = []
    open_: list[tuple[Place, str]] = [((), design.top)]
    while open_:
        place, name = open_.pop()
        design.parents[place] = design.modules[name]
        for inner, (kind, _) in design.modules[name].placed.items():
            if kind == "tile":
                tiles.append((*place, inner))
            elif kind == "host_port":
                hosts.append((*place, inner))
            elif kind not in LEAVES:
                open_.append(((*place, inner), kind))
    # host_port, host1_port ..
    return tiles, sorted(hosts, key=lambda host: (len(host[-1]), host[-1]))


def _coordinates(design: _Design, tiles: list[Place], machine: Machine) -> dict[Position, Place]:
    """Where each tile is told that it is."""
    found: dict[Position, Place] = {}
    for tile in tiles:
        (_, x), (_, y) = (_port_value(design, tile, axis) for axis in ("x", "y"))
        for name, want in (("mesh_width", machine.mesh.width), ("mesh_height",
                                                                machine.mesh.height)):
            if _port_value(design, tile, name)[1] != want:
                raise NetlistError(f"tile {tile} must be told {name} {want}")
        if (x, y) in found or not machine.mesh.holds((x, y)):
            raise NetlistError(f"tile {'.'.join(tile)} must have a place of its own in the mesh, "
                               f"not {(x, y)}")
        found[x, y] = tile
    return found


def _port_value(design: _Design, instance: Place, port: str) -> Value:
    """What an instance's input is, as a constant."""
    place, name = instance[:-1], instance[-1]
    return _value(design, place, design.parents[place].placed[name][1][port])


def _value(design: _Design, place: Place, expression: str) -> Value:
    def net(name: str) -> Value:
        key = place, name
        if key not in design.values:
            module = design.parents[place]
            if name in module.driven:
                design.values[key] = _value(design, place, module.driven[name])
            elif module.ports.get(name, ("",))[0] == "input" and place:
                above = design.parents[place[:-1]].placed[place[-1]][1][name]
                design.values[key] = _value(design, place[:-1], above)
            else:
                raise NetlistError(f"net {name} of {module.name} must be a constant")
        return design.values[key]

    return value_of(expression, net)


def _link(design: _Design, instance: Place, end: str, members: tuple[str, ...],
          ) -> tuple[tuple[Place, str] | None, bool]:
    """Where the members of a link's end come from, past a die link; None: they are 0.

    The second is whether they came through one.
    """
    found = {_source(design, instance[:-1], design.parents[instance[:-1]].placed[instance[-1]][1][
        f"{end}__{member}"], member) for member in members}
    if len(found) > 1 and "valid" in members:
        # What is not valid may be anything.
        found = {_source(design, instance[:-1], design.parents[instance[:-1]].placed[
            instance[-1]][1][f"{end}__valid"], "valid")}
        if found != {None}:
            raise NetlistError(f"{end} of {'.'.join(instance)} must come from one place")
    source, = found
    if source is None:
        return None, False
    place, port = source
    kind = design.parents[place[:-1]].placed[place[-1]][0]
    if kind == "die_link":
        (back, _), crossed = _link(design, place, INSIDE[port], members), True
        return back, crossed
    return source, False


def _source(design: _Design, place: Place, expression: str, member: str,
            ) -> tuple[Place, str] | None:
    """Leaf instance, and end of a link of its, that an expression comes from."""
    while True:
        module = design.parents[place]
        guarded = _GUARDED.match(expression)
        if guarded is None:
            if _value(design, place, expression)[1]:
                raise NetlistError(f"{expression!r} in {module.name} must be a link or 0")
            return None
        name, guard = guarded.groups()
        if guard and not _value(design, place, _bit_of(guard))[1]:
            return None
        if name in design.drivers[module.name]:
            inner, port = design.drivers[module.name][name]
            kind = module.placed[inner][0]
            if kind in LEAVES:
                if not port.endswith(f"__{member}"):
                    raise NetlistError(f"{port} of {inner} must not lead to a {member}")
                return (*place, inner), port.removesuffix(f"__{member}")
            place, expression = (*place, inner), port
            module = design.parents[place]
            if port in module.driven:
                expression = module.driven[port]
        elif name in module.driven:
            expression = module.driven[name]
        elif module.ports.get(name, ("",))[0] == "input" and place:
            expression, place = design.parents[place[:-1]].placed[place[-1]][1][name], place[:-1]
        else:
            raise NetlistError(f"net {name} of {module.name} must be driven")


def _bit_of(guard: str) -> str:
    """The bit in a guard of several equal ones, ``{4{live[2]}}``."""
    repeated = re.fullmatch(r"\{\d+\{(.*)\}\}", guard)
    return repeated[1] if repeated else guard
