"""Taps: where they go into an emitted machine, and packets from what they write."""


import pytest

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.program.packets import credit_packet, data_packets
from ouroboros.sw.runtime.difference import Sent
from ouroboros.tb.lib.link import PERIOD_NS
from ouroboros.tb.lib.stream import pack
from ouroboros.tb.mesh.tap import read_taps, tapped

TINY = load_machine("tiny")
SOURCES = {"core": "module \\core.sfu (a);\nendmodule\nmodule core(x, y, clk);\n  wire a;\n"
                   "endmodule\nmodule \\core.send (b);\nendmodule\n",
           "die": "module die(clk);\nendmodule\n"}


def packet(position, vc=0):
    [made] = data_packets((7, 1 << 127), src=(2, 1), dst=(3, 1), stage=1, operand=0, sequence=2,
                          position=position, offset=0, flags=0, vc=vc)
    return made


def lines(*flits):
    """What a tap writes: time and flit."""
    return "".join(f"{PERIOD_NS * cycle} {pack(flit_layout(TINY.noc), flit._asdict()):x}\n"
                   for cycle, flit in flits)


def test_packets_of_two_channels_may_be_mixed(tmp_path):
    one, credit = packet(4), credit_packet(TINY, src=(2, 1), dst=(1, 1), counter=3)
    head, first, second = one.flits()
    (tmp_path / "tap_2_1.txt").write_text(lines(
        (10, head), (11, first), (12, *credit.flits()), (15, second)))
    (tmp_path / "tap_10_1.txt").write_text(lines(*enumerate(packet(5).flits(), start=20)))
    assert read_taps(tmp_path, TINY) == [Sent(packet(5), cycles=(20, 21, 22)),
                                         Sent(one, cycles=(10, 11, 15))]
    assert not [*tmp_path.iterdir()]


def test_one_tap_in_the_core_alone():
    text = tapped(SOURCES, TINY)
    assert text["die"] == SOURCES["die"] and "module tap " in text["tap"]
    before, inside = text["core"].split("  tap #(.WIDTH(131)) tap(")
    assert before.endswith("module core(x, y, clk);\n  wire a;\n")
    assert inside.split("\n", 1)[1] == "endmodule\nmodule \\core.send (b);\nendmodule\n"


def test_another_text_is_refused():
    with pytest.raises(ValueError, match=r"^text must have one module core, not 0$"):
        tapped({"core": "module kernel(x);\nendmodule\n"}, TINY)
