import pytest
from amaranth import Module

from ouroboros.hw.mesh.mesh import connected_ports, mesh_links
from ouroboros.hw.noc.link import Link
from ouroboros.hw.params.noc import NocParams

NOC = NocParams()


class Node:
    """Ends of the four mesh links, as a router shows them."""

    def __init__(self):
        self.outputs = [Link(NOC).create() for _ in range(4)]
        self.inputs = [Link(NOC).flip().create() for _ in range(4)]


def test_connected_ports():
    places = {(1, 1), (2, 1), (1, 2), (0, 1)}
    assert connected_ports((1, 1), dict.fromkeys(places)) == 0b11110
    assert connected_ports((2, 1), dict.fromkeys(places)) == 0b11000
    assert connected_ports((1, 2), dict.fromkeys(places)) == 0b10001


@pytest.mark.parametrize("place", [(0, 0), (3, 1), (1, 1)])
def test_edge_ports_lie_beside_a_node(place):
    nodes = {(1, 1): Node(), (1, 2): Node()}
    with pytest.raises(ValueError) as error:
        mesh_links(Module(), nodes, {place: (Link(NOC).create(), Link(NOC).flip().create())})
    assert str(error.value) == f"edge port must lie beside exactly one node, not at {place}"
