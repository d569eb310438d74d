from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import DATA_HEADER
from ouroboros.sw.golden.ingress import Arrived, Error, IngressModel, Write
from ouroboros.sw.program.packets import Packet, data_packets

TINY = load_machine("tiny")
ENDS = {"src": (0, 1), "dst": (2, 1)}
TOKEN = {"sequence": 3, "position": 9, "stage": 2, "operand": 1}


def test_ingress_model():
    wide = replace(TINY, cim=replace(TINY.cim, outputs=16), core=replace(TINY.core, lanes=16))
    model = IngressModel(wide, lambda stage, sequence, position: (6, 40) if stage == 2 else None)
    good, = data_packets([1, 2, 3], **ENDS, **TOKEN, offset=6, flags=8)
    lost = Packet({**good.header, "stage": 3}, good.payload)
    assert [model.take(flit) for flit in good.flits()] == [
        [], [Write(41, 2, 1)], [Write(41, 3, 2)], [Write(42, 0, 3), Arrived(6, 1, 8)]]
    assert [model.take(flit) for flit in lost.flits()] == [[Error()], [], [], []]
    assert good.flits()[0].data == DATA_HEADER.pack(good.header)


@pytest.mark.parametrize("length", [0, 9])
def test_a_wrong_length_is_refused_with_the_header(length):
    """Nobody is asked for a slot, so none is taken."""
    asked = []
    model = IngressModel(TINY, lambda *token: asked.append(token) or (6, 40))
    packet, = data_packets([1, 2, 3], **ENDS, **TOKEN)
    packet = Packet({**packet.header, "length": length}, packet.payload)
    assert [model.take(flit) for flit in packet.flits()] == [[Error()], [], [], []]
    assert not asked
