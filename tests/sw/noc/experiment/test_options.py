import pytest

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.packet import Port
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.groups import group_of, groups_of
from ouroboros.sw.noc.experiment.options import TracePacket, experiment


def packet(cycle=0, source=0, destination=1, flits=1, **other):
    return TracePacket(cycle=cycle, source=source, destination=destination, flits=flits, **other)


def multicast(*targets, flits=1, **other):
    return TracePacket(cycle=0, source=0, targets=targets, flits=flits, **other)


@pytest.mark.parametrize("values, message", [
    ({"width": 0}, "width must be between 1 and 126, not 0"),
    ({"rate": 4.5}, "rate must be 0 to 4.0, not 4.5"),
    ({"packet_min": 3, "packet_max": 2}, "packet_max must be 3 to 9, not 2"),
    ({"pattern": "random"}, ("traffic must be one of uniform, transpose, bitcomp, neighbor, "
                            "hotspot, trace, not 'random'")),
    ({"pattern": "transpose", "height": 4}, "transpose must have a square mesh, not 8 x 4"),
    ({"die_width": 3}, "die_width must divide width (8), not 3"),
    ({"hotspot": 64}, "hotspot must be -1 to 63, not 64"),
    ({"pattern": "trace"}, "trace must have at least one packet, not none"),
    ({"pattern": "trace", "trace": (packet(3), packet(2))},
     "packet 1 of the trace must not be made before packet 0 (cycle 3), not at 2"),
    ({"pattern": "trace", "trace": (packet(destination=64),)},
     "destination of packet 0 of the trace must be 0 to 63, not 64"),
    ({"pattern": "trace", "trace": (packet(flits=10),)},
     "flits of packet 0 of the trace must be 1 to 9, not 10"),
    ({"pattern": "trace", "trace": (packet(), packet(flits=2))},
     "node 0 must make one packet in cycle 0 of the trace, not two"),
    ({"pattern": "trace", "trace": (packet(), packet(line=5))},
     "node 0 must make one packet in cycle 0 of the trace, not two; the second is in line 5"),
    ({"pattern": "trace", "trace": (packet(way=64, line=2),)},
     "way of packet 0 of the trace (line 2) must be -1 (none) to 63, not 64"),
    ({"pattern": "trace", "trace": (packet(way=3),), "class1_vcs": 0},
     "way of packet 0 of the trace must be -1 (none) where class1_vcs is 0, not 3"),
    ({"vcs": 5}, "vcs + class1_vcs + class2_vcs must be at most 7, not 8"),
    ({"vc_depth": 3}, "vc_depth must be at least 4, not 3"),
    ({"pattern": "trace", "trace": (packet(way=3), packet(1, way=4)), "ordered": True},
     ("way of packet 1 of the trace must be 3 as before, for an ordered flow has one way, "
      "not 4")),
    ({"pattern": "trace", "trace": (multicast(1, 64),)},
     "targets of packet 0 of the trace must be 0 to 63, not 64"),
    ({"pattern": "trace", "trace": (multicast(1, 2, 1),)},
     "targets of packet 0 of the trace must be nodes, each once, not (1, 2, 1)"),
    ({"pattern": "trace", "trace": (multicast(1, destination=2),)},
     "destination of packet 0 of the trace must be -1 beside targets, not 2"),
    ({"pattern": "trace", "trace": (multicast(1, way=2),)},
     "way of packet 0 of the trace must be -1 (none) beside targets, not 2"),
    ({"pattern": "trace", "trace": (multicast(1, flits=5),)},
     ("flits of packet 0 of the trace must be 1 to 4, as a multicast packet lies in a buffer of 4 "
      "flits whole, not 5")),
    ({"labels": 129}, "labels must be between 2 and 128, not 129"),
])
def test_refused(values, message):
    with pytest.raises(OuroborosError) as error:
        experiment(**values)
    assert str(error.value) == message


def test_derived():
    options = experiment(width=4, height=4, packet_min=1, packet_max=4)
    assert (options.mesh.cores, options.traffic.packet_flits, options.hotspot_node) == (
        16, 2.5, 5)
    assert experiment().hotspot_node == 27
    assert experiment().offering(0.4) == experiment(rate=0.4) != experiment()
    assert [experiment(vc_depth=n).noc.multicast_flits for n in (4, 9, 20)] == [4, 9, 9]
    assert experiment(die_width=2).mesh == MeshParams(width=8, height=8, die_width=2, die_height=8)


def test_labels_of_groups():
    trace = (multicast(1, 2), TracePacket(cycle=1, source=0, targets=(2, 1), flits=1),
             TracePacket(cycle=2, source=0, targets=(2,), flits=1),
             TracePacket(cycle=3, source=63, targets=(62,), flits=1))
    found = groups_of(experiment(pattern="trace", trace=trace))
    assert set(found.labels) == {(0, frozenset({1, 2})), (0, frozenset({2})), (63, frozenset({62}))}
    first, second, third = (found.labels[group_of(trace[n])] for n in (0, 2, 3))
    assert first != second
    assert third in (first, second)
    assert found.entries[1] == {first: 1 << Port.EAST | 1 << Port.LOCAL, second: 1 << Port.EAST}
    assert groups_of(experiment()).labels == {}
    with pytest.raises(NocError, match="^the trace's 3 multicast groups must fit the 2 labels of a "
                                       r"router \(labels\): multicast groups must fit 1 labels"):
        groups_of(experiment(pattern="trace", trace=trace, labels=2))
