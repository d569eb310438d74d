import pytest

from hw.params.noc import NocParams
from sw.noc.errors import NocError
from sw.noc.options import LabOptions, TracePacket


def packet(cycle=0, source=0, destination=1, flits=1):
    return TracePacket(cycle=cycle, source=source, destination=destination, flits=flits)


@pytest.mark.parametrize("values, message", [
    ({"width": 0}, "width must be 1 to 126, not 0"),
    ({"rate": 4.5}, "rate must be 0 to 4.0, not 4.5"),
    ({"packet_min": 3, "packet_max": 2}, "packet_max must be 3 to 9, not 2"),
    ({"traffic": "random"}, ("traffic must be one of uniform, transpose, bitcomp, neighbor, "
                            "hotspot, trace, not 'random'")),
    ({"traffic": "transpose", "height": 4}, "transpose must have a square mesh, not 8 x 4"),
    ({"die_width": 3}, "die_width must divide width (8) or be 0, not 3"),
    ({"hotspot": 64}, "hotspot must be -1 to 63, not 64"),
    ({"traffic": "trace"}, "trace must have at least one packet, not none"),
    ({"traffic": "trace", "trace": (packet(3), packet(2))},
     "packet 1 of the trace must not be made before packet 0 (cycle 3), not at 2"),
    ({"traffic": "trace", "trace": (packet(destination=64),)},
     "destination of packet 0 of the trace must be 0 to 63, not 64"),
    ({"traffic": "trace", "trace": (packet(flits=10),)},
     "flits of packet 0 of the trace must be 1 to 9, not 10"),
    ({"traffic": "trace", "trace": (packet(), packet(flits=2))},
     "node 0 must make one packet in cycle 0 of the trace, not two"),
])
def test_refused(values, message):
    with pytest.raises(NocError) as error:
        LabOptions(**values)
    assert str(error.value) == message


def test_derived():
    options = LabOptions(width=4, height=4, packet_min=1, packet_max=4)
    assert (options.nodes, options.packet_flits, options.hotspot_node) == (16, 2.5, 5)
    assert LabOptions().hotspot_node == 27
    for cycles, per_flit in ((8, 1), (8, 3), (1, 1), (20, 16)):
        options = LabOptions(die_latency_cycles=cycles, die_cycles_per_flit=per_flit)
        noc = NocParams(die_latency_cycles=cycles, die_cycles_per_flit=per_flit)
        assert options.die_depth == noc.die_depth
