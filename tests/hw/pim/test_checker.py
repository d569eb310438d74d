"""Each rule at its limit, and that a checker with any other limit is found out."""

import copy
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest

from ouroboros.hw.params.dram import DDR4_3200, POSTPONED, DramTiming, Op, rules
from ouroboros.hw.pim.checker import TimingChecker
from ouroboros.sw.golden.dram import DramGolden
from ouroboros.tb.lib.pysim import PySim

TIMING = replace(DDR4_3200, rfc=100, refi=560)
BANKS, GROUPS = 8, 4
NAMES = [field.name for field in fields(DramTiming)]
FAR = 200


def limits(t: DramTiming) -> dict[str, list[tuple[list[tuple[int, Op, int]], int]]]:
    """By timing: commands (time, op, bank), and when the last one is just in time."""
    opened = [(0, Op.ACT, 0)]
    written = [*opened, (FAR, Op.WR, 0)]
    return {
        "rcd": [(opened, t.rcd)],
        "rp": [([*opened, (FAR, Op.PRE, 0)], FAR + t.rp)],
        "ras": [(opened, t.ras)],
        "rc": [([*opened, (t.rc - t.rp - 5, Op.PRE, 0)], t.rc)],
        "rrd_s": [(opened, t.rrd_s)],
        "rrd_l": [(opened, t.rrd_l)],
        "faw": [([(n * t.rrd_s, Op.ACT, n) for n in range(4)], t.faw)],
        "ccd_s": [([(0, Op.RD_RB, 0)], t.ccd_s)],
        "ccd_l": [([*opened, (FAR, Op.MAC, 0)], FAR + t.ccd_l)],
        "rtp": [([*opened, (FAR, Op.MAC, 0)], FAR + t.rtp)],
        "cl": [([(0, Op.RD_RB, 0)], t.read_to_write)],
        "cwl": [(written, FAR + t.write_data + t.wr)],
        "bl": [(written, FAR + t.write_data + t.wr)],
        "wr": [(written, FAR + t.write_data + t.wr)],
        "wtr_s": [([(0, Op.WR_SB, 0)], t.write_data + t.wtr_s)],
        "wtr_l": [(written, FAR + t.write_data + t.wtr_l)],
        "rfc": [([(0, Op.REF, 0)], t.rfc)],
        "refi": [([], (POSTPONED + 1) * t.refi - 1)],
    }


LAST = {"rcd": (Op.RD, 0), "rp": (Op.ACT, 0), "ras": (Op.PRE, 0), "rc": (Op.ACT, 0),
        "rrd_s": (Op.ACT, 1), "rrd_l": (Op.ACT, 4), "faw": (Op.ACT, 4), "ccd_s": (Op.RD_RB, 0),
        "ccd_l": (Op.MAC, 0), "rtp": (Op.PRE, 0), "cl": (Op.WR_SB, 0), "cwl": (Op.PRE, 0),
        "bl": (Op.PRE, 0), "wr": (Op.PRE, 0), "wtr_s": (Op.RD_RB, 0), "wtr_l": (Op.LD_SB, 0),
        "rfc": (Op.ACT, 0), "refi": (Op.NOP, 0)}


def told(sim: PySim, commands: list[tuple[int, Op, int]]) -> list[tuple[int, set[str]]]:
    """What a checker says of commands, when it says something."""
    found: list[tuple[int, set[str]]] = []
    names = sim.dut.names

    async def story(top):
        at = {time: (op, 1 << bank) for time, op, bank in commands}
        for time in range(max(at) + 1):
            op, banks = at.get(time, (Op.NOP, 0))
            top.set("op", int(op))
            top.set("banks", banks)
            bits = top.get("broken").as_bits()
            if bits:
                found.append((time, {name for n, name in enumerate(names) if bits >> n & 1}))
            await top.tick()

    sim.tell(story)
    return found


def wanted(commands: list[tuple[int, Op, int]]) -> list[tuple[int, set[str]]]:
    """What the golden model says of them."""
    golden = DramGolden(banks=BANKS, groups=GROUPS, timing=TIMING)
    at = {time: (op, 1 << bank) for time, op, bank in commands}
    every = [(time, golden.judge(time, *at.get(time, (Op.NOP, 0))))
             for time in range(max(at) + 1)]
    return [one for one in every if one[1]]


def stories(name: str) -> list[list[tuple[int, Op, int]]]:
    """Commands that end just in time, and a clock before that."""
    found = []
    for before, time in limits(TIMING)[name]:
        op, bank = LAST[name]
        found += [[*before, (time, op, bank)], [*before, (time - 1, op, bank)]]
    return found


@pytest.fixture(scope="module")
def checker():
    return PySim(TimingChecker(BANKS, GROUPS, TIMING))


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_each_limit(checker, name):
    just, early = stories(name)
    assert told(checker, just) == wanted(just)
    assert told(checker, early) == wanted(early)
    assert wanted(just) != wanted(early)


@pytest.mark.long
@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_limit_is_found_out(name, by):
    """A checker whose table has one value that is a clock off differs from the golden model."""
    timing = copy.copy(TIMING)
    object.__setattr__(timing, name, getattr(TIMING, name) + by)    # out of order, maybe
    sim = PySim(TimingChecker(BANKS, GROUPS, timing))
    assert any(told(sim, story) != wanted(story) for story in stories(name))


def test_every_rule_is_of_the_table():
    """No limit is a number of its own: each follows one of the timings."""
    values = SimpleNamespace(**{field.name: getattr(TIMING, field.name)
                                for field in fields(DramTiming)})
    names = set()
    for rule in rules(TIMING):
        for name in NAMES:
            other = copy.copy(TIMING)
            object.__setattr__(other, name, getattr(values, name) + 1)
            if rules(other) != rules(TIMING):
                names.add(name)
        assert rule.cycles > 0
    assert names == set(NAMES) - {"faw", "refi"}


@pytest.mark.parametrize("changes, message", [
    ({"ccd_l": 3}, "ccd_s must be at most ccd_l: 4 is more than 3"),
    ({"rc": 73}, "rc must be at least ras \\+ rp = 74, not 73"),
    ({"refi": 600}, "refi must leave time for rows between refreshes: 600 is not more than "),
    ({"rtp": 0}, "rtp must be between 1 and 65536, not 0"),
    ({"cl": 15}, "cwl must be at most cl: 16 is more than 15"),
])
def test_timings_out_of_order_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        replace(DDR4_3200, **changes)
