"""One token's way and the occupancies, against sums worked by hand."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.noc import NocParams
from ouroboros.hw.params.packet import Flag, Port
from ouroboros.hw.params.timing.network import multicast_cycles
from ouroboros.sw.perf.copies import packet_times
from ouroboros.sw.perf.cycles import Holds
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.events import token_events
from ouroboros.sw.perf.stage_time import machine_time
from ouroboros.sw.perf.walk import Reserved, walk
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


EAST, SOUTH, LOCAL = (1 << port for port in (Port.EAST, Port.SOUTH, Port.LOCAL))


def tree(first):
    """(1, 1) goes on by ``first``, (2, 1) to itself and to (2, 2)."""
    return multicast({(1, 1): {3: first}, (2, 1): {3: SOUTH | LOCAL}, (2, 2): {3: LOCAL}},
                     (1, 1), 3)


def test_routes_of_a_tree():
    routes = {route.target: route.links for route in tree(EAST | LOCAL)}
    assert routes == {
        (1, 1): (((1, 1), Port.LOCAL),),
        (2, 1): (((1, 1), Port.EAST), ((2, 1), Port.LOCAL)),
        (2, 2): (((1, 1), Port.EAST), ((2, 1), Port.SOUTH), ((2, 2), Port.LOCAL))}


def test_gaps_of_all_results_count():
    assert (Holds(sfu=50, gaps=21) + Holds(sfu=10)).sfu_and_drain == 81


MACHINE = replace(load_machine("tiny"), noc=NocParams())


def test_packets_of_a_vector_follow_each_other():
    """9 flits are packets of 8 and 1."""
    route = Route((2, 1), (((1, 1), Port.EAST), ((2, 1), Port.LOCAL)))
    assert packet_times(MACHINE, 10, [route], 9) == {(2, 1): [(14, 22), (23, 24)]}


def test_copies_leave_together():
    """Nine credits are needed, and ten are there; for packets of 5 and 2 that is enough."""
    assert packet_times(MACHINE, 10, tree(EAST | LOCAL), 4) == {
        (1, 1): [(12, 16)], (2, 1): [(14, 18)], (2, 2): [(16, 20)]}
    assert packet_times(MACHINE, 10, tree(EAST | LOCAL), 9) == {
        (1, 1): [(12, 20), (21, 22)], (2, 1): [(14, 22), (23, 24)], (2, 2): [(16, 24), (25, 26)]}


def test_the_next_packet_waits_for_credits_of_all_ports():
    """Eight credits of a packet of nine must be back before the next one.

    A core gives the eighth back 13 cycles after the header was granted, a router after 11: that is
    waited for. So the second packet's header, there in 19, goes in 10 + 13.
    """
    times = packet_times(MACHINE, 10, tree(EAST | LOCAL), 24)
    assert [header for header, _ in times[1, 1]] == [12, 25, 38]
    assert [header for header, _ in times[2, 1]] == [14, 27, 40]
    assert [header for header, _ in times[2, 2]] == [16, 29, 42]
    assert multicast_cycles(MACHINE.noc, 24) == 3 * 13


def test_ports_whose_credits_take_longer_are_served_by_themselves(monkeypatch):
    """Patience for 2 cycles, and the core gives credits back 4 cycles after a router does."""
    monkeypatch.setattr("ouroboros.sw.perf.copies.CORE_LOOP_CYCLES", 8)
    times = packet_times(MACHINE, 10, tree(EAST | LOCAL), 16)
    # To the east could be granted in 22, to the core in 26: the one goes in 24, the other 9 later.
    assert [header for header, _ in times[1, 1]] == [12, 24 + 9 + 1]
    # At (2, 1) it could go south in 26, and to the core in 28, which is soon enough.
    assert [header for header, _ in times[2, 1]] == [14, 28 + 1]
    assert [header for header, _ in times[2, 2]] == [16, 30 + 1]


def test_link_binds(by_hand):
    time = machine_time(by_hand, read_stages(by_hand), Token(0))
    busy = replace(time, links={((1, 1), Port.EAST): 40})
    assert (busy.interval, busy.binds) == (40, "link east of (1, 1)")
