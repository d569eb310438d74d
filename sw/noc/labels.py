"""Check of a set of multicast labels: what routers hold must be trees of XY over live links."""

from collections.abc import Iterator, Mapping

from hw.params.packet import Port
from sw.noc.errors import NocError
from sw.noc.faults import Position
from sw.noc.live import LiveMesh, position_of, router_of

__all__ = ["LabelEntries", "check_labels"]

LabelEntries = Mapping[Position, Mapping[int, int]]
"""Port mask by label, for each router that has any."""
X_PORTS = (Port.EAST, Port.WEST)


def check_labels(entries: LabelEntries, live: LiveMesh) -> None:
    """Refuse entries that a packet of the label cannot follow, or that could stop the network.

    Raises
    ------
    NocError
        If, for some label, a port leads to a dead link or to a router without an entry, two
        branches meet, packets go round in a circle, or a branch turns from y back to x. The message
        names label and router.
    """
    mesh = live.mesh
    labels = sorted({label for table in entries.values() for label in table})
    for label in labels:
        nodes = {router_of(at, mesh): table[label]
                 for at, table in entries.items() if label in table}
        entered: dict[int, Port] = {}
        for router, port, there in _links(nodes, live):
            at = position_of(router, mesh)
            if there < 0:
                raise NocError(f"label {label} must lead over live links, not from router {at} by "
                               f"its dead port {port.name}")
            if there not in nodes:
                raise NocError(f"label {label} must have an entry at router "
                               f"{position_of(there, mesh)}, where port {port.name} of {at} leads")
            if there in entered:
                raise NocError(f"label {label} must be a tree, but two branches meet at router "
                               f"{position_of(there, mesh)}")
            entered[there] = port
        _check_turns(label, nodes, entered, live)
        _check_circles(label, nodes, live)


def _links(nodes: Mapping[int, int], live: LiveMesh) -> Iterator[tuple[int, Port, int]]:
    """Router, port and router beyond of every branch; -1 beyond a dead port, edges left out."""
    mesh = live.mesh
    for router, mask in nodes.items():
        x, y = position_of(router, mesh)
        edge = {Port.NORTH: y == 1, Port.EAST: x == mesh.width, Port.SOUTH: y == mesh.height,
                Port.WEST: x == 1}
        for port, outside in edge.items():
            if mask >> port & 1 and not outside:
                yield router, port, int(live.beyond[router, port])


def _check_turns(label: int, nodes: Mapping[int, int], entered: Mapping[int, Port],
                 live: LiveMesh) -> None:
    for router, port in entered.items():
        back = Port((port + 2) % 4)
        x, _ = position_of(router, live.mesh)
        outside = {Port.WEST: x == 1, Port.EAST: x == live.mesh.width}
        for exit_ in (port for port in X_PORTS if nodes[router] >> port & 1):
            # By an edge port to the east or west a packet may leave after y.
            if port not in X_PORTS and not outside[exit_]:
                raise NocError(f"label {label} must go by x first and then by y, but turns from y "
                               f"to {exit_.name} at router {position_of(router, live.mesh)}")
        if nodes[router] >> back & 1:
            raise NocError(f"label {label} must be a tree, but goes back from router "
                           f"{position_of(router, live.mesh)} by port {back.name}")


def _check_circles(label: int, nodes: Mapping[int, int], live: LiveMesh) -> None:
    """Every router has one entrance at most, so following branches from the roots meets all."""
    after: dict[int, list[int]] = {router: [] for router in nodes}
    roots = set(nodes)
    for router, _, there in _links(nodes, live):
        after[router].append(there)
        roots.discard(there)
    todo, met = list(roots), set(roots)
    while todo:
        following = after[todo.pop()]
        met.update(following)
        todo.extend(following)
    if len(met) < len(nodes):
        lost = position_of(min(set(nodes) - met), live.mesh)
        raise NocError(f"label {label} must have no circle, but packets go round in one through "
                       f"router {lost}")
