"""One token's way and the occupancies, against sums worked by hand."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.packet import Flag, Port
from ouroboros.sw.perf.cycles import Holds
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.perf.stage_time import machine_time
from ouroboros.sw.perf.walk import Reserved, packet_times, walk
from ouroboros.sw.program.image import Route, Token, multicast, packet_flits, read_stages


def test_way_of_a_token(by_hand):
    found = walk(by_hand, read_stages(by_hand), Token(0))
    embed, head = found.stages
    # 32 bytes are 2 flits; header on the first link in cycle 1, in the core (one router) in 3, tail
    # in 5. Its count is seen in 10 and picked, acted upon in 11.
    assert (embed.allocated, embed.start) == (3 + 2, 11)
    # SFU picked in 12, accepted in 14: 4 beats + 6, done in 24. SEND picked in 25, accepted in 27:
    # header and one flit, done in 30. END picked in 31.
    assert embed.end == 32
    assert found.reserved == {((1, 1), 0): [Reserved((0, 1), 0, 0)],
                              ((3, 2), 0): [Reserved((1, 1), 0, 27)]}
    # (1, 1) to (3, 2) is 4 routers: header on the last link in 27 + 2 + 8, tail in 38, count in 43.
    assert head.start == 44
    # FREE is passed over in 45, 46. LOAD picked in 47, accepted in 49, done in 51; its only word is
    # there in 52. MVM picked in 52, accepted in 54: 2 groups of 8, 4 to fill, 2: done in 76. SFU
    # picked in 77, accepted in 79: 8 beats + 6 + 2 for word C: done in 95. SEND picked in 96,
    # accepted in 98: 9 flits, 2 headers, done in 110. END picked in 111.
    assert (head.end, head.serial, head.waiting) == (112, 68, 0)
    # 4 routers back to the west port: second packet's only payload flit 10 after the first header.
    assert found.result == 98 + 2 + 8 + 10 + 2


def test_quiet_token_skips_the_head(by_hand):
    found = walk(by_hand, read_stages(by_hand), Token(0, Flag.QUIET))
    # FREE, LOAD, MVM and SFU take the dispatcher two cycles each; SEND is picked in 53.
    assert found.stages[1].end == 53 + 3 + 12 + 1


def test_occupancies(by_hand):
    time = machine_time(by_hand, read_stages(by_hand), Token(0))
    embed, head = time.cores
    # One word of int16 is 2 beats at a time: 4 beats and one cycle to start.
    assert embed.units == {"array": 0, "sfu": 5, "sfu and drain": 5, "send": 3,
                           "flits in": 3 + 1, "flits out": 2 + 1, "dispatch": 8,
                           "slots": (32 + 2 + 8 + 2) // 2}
    # Loader: LOAD 2 + 3 and 2 to turn round; macros 16; drain: 3 + 8 + 1 + 2; a bank is held for
    # 5 + 22 + 2 cycles, and there are two. SFU: 8 beats, one to start, one for word C.
    holds = head.stages[0].holds
    assert (holds.load, holds.compute, holds.drain, holds.banks) == (7, 16, 14, 15)
    assert (holds.sfu, holds.send, holds.array) == (10, 12, 16)
    # The SFU has nothing to do from the end of one result to the next: 14 cycles, not 10.
    assert holds.sfu_and_drain == 14
    # The credit of 27 is back in the counter at 112 + 8 + 8, taken again in two cycles.
    assert head.stages[0].loop == 112 + 2 + 8 + 8 - 27
    assert (head.cycles, head.binds) == (26, "slots")
    assert (time.interval, time.binds) == (26, "slots of lm")
    assert time.links[(1, 1), Port.EAST] == 2
    assert time.links[(1, 1), Port.WEST] == 11 + 1


def test_events_of_a_token(by_hand):
    found = token_events(by_hand, read_stages(by_hand), Token(0))
    # Two macros of 2 groups, 8 cycles each; 11 flits over 2 x 1 + 1 + the west port.
    assert found[3, 2] == {"array_group_cycles": 32, "sfu_elements": 32, "flits_in": 2,
                           "flits_out": 11 + 1, "flit_hops_data": 11, "flit_hops_control": 1}
    assert found[1, 1]["flits_in"] == 3 + 1
    assert found[1, 1]["flit_hops_data"] == 2 + 11


def test_operand_that_nobody_sends(by_hand):
    stages = read_stages(by_hand)
    with pytest.raises(PerfError, match="every stage of the program must get all its operands, "
                                        r"not \['lm'\]"):
        walk(by_hand, _without_send(stages), Token(0))


def _without_send(stages):
    embed = replace(stages[0], code=tuple(i for i in stages[0].code if i.op is not Op.SEND))
    return [embed, stages[1]]


@pytest.mark.parametrize(("flits", "network"), [(0, 0), (1, 2), (8, 9), (9, 11), (16, 18)])
def test_packet_flits(flits, network):
    assert packet_flits(flits) == network


def test_multicast_copies_leave_in_the_order_of_ports():
    east, south, local = (1 << port for port in (Port.EAST, Port.SOUTH, Port.LOCAL))
    labels = {(1, 1): {3: east | local}, (2, 1): {3: south | local}, (2, 2): {3: local}}
    routes = {route.target: route for route in multicast(labels, (1, 1), 3)}
    assert {target: route.branches for target, route in routes.items()} == {
        (1, 1): ((2, 1),), (2, 2): ((2, 0), (2, 0), (1, 0)), (2, 1): ((2, 0), (2, 1))}
    assert routes[2, 2].links == (((1, 1), Port.EAST), ((2, 1), Port.SOUTH), ((2, 2), Port.LOCAL))


def test_gaps_of_all_results_count():
    assert (Holds(sfu=50, gaps=21) + Holds(sfu=10)).sfu_and_drain == 81


def test_copies_delay_each_other_and_the_next_packet():
    links = (((1, 1), Port.EAST), ((2, 1), Port.LOCAL))
    # 9 flits are packets of 8 and 1. Alone they follow each other.
    assert packet_times(10, Route((2, 1), links), 9) == [(14, 22), (23, 24)]
    # The second of two copies at (1, 1) begins 9 cycles later; the second packet waits for it.
    assert packet_times(10, Route((2, 1), links, ((2, 1), (1, 0))), 9) == [(23, 31), (34, 35)]
    # At the second router likewise: header there in 12, its other copy takes 9.
    assert packet_times(10, Route((2, 1), links, ((1, 0), (2, 1))), 9) == [(23, 31), (34, 35)]


def test_link_binds(by_hand):
    time = machine_time(by_hand, read_stages(by_hand), Token(0))
    busy = replace(time, links={((1, 1), Port.EAST): 40})
    assert (busy.interval, busy.binds) == (40, "link east of (1, 1)")
