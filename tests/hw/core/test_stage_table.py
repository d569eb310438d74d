from dataclasses import replace
from functools import cache

from ouroboros.hw.core.stage_table import StageTable
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import STAGE_ENTRY, Unit
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
MACHINE = replace(TINY, core=replace(TINY.core, stages=3, slots=5))


def entry(**fields):
    return {**dict.fromkeys((f.name for f in STAGE_ENTRY.fields), 0), **fields}


def configure(ctx, bus, unit, address, value):
    for name, content in (("valid", 1), ("unit", unit), ("address", address), ("data", value)):
        ctx.set(getattr(bus, name), content)


@cache
def simulated():
    return PySim(StageTable(MACHINE))


def run(writes):
    """Writes (unit, address, data) and returns the stages."""
    sim = simulated()
    dut = sim.dut
    found = []

    async def bench(ctx):
        for unit, address, word in writes:
            configure(ctx, dut.config, unit, address, word)
            await ctx.tick()
        ctx.set(dut.config.valid, 0)
        ctx.set(dut.config.data, (1 << 60) - 1)
        await ctx.tick()
        found.extend({name: ctx.get(getattr(stage, name)) for name in (
            "slots", "first", "base", "stride", "program", "credit_first", "credit_count")}
            for stage in dut.stages)

    sim.run(bench)
    return found


def test_empty_at_reset():
    assert [stage["slots"] for stage in run([])] == [0, 0, 0]


def test_entries():
    words = [entry(slot_first=1, slot_count=2, base=3, stride=4, program=5, credit_first=6,
                   credit_count=7),
             entry(slot_first=3, slot_count=2, base=200, stride=12, program=127, credit_first=15,
                   credit_count=0)]
    stages = run([(Unit.STAGE, 2, STAGE_ENTRY.pack(words[0])),
                  (Unit.STAGE, 0, STAGE_ENTRY.pack(words[1])),
                  (Unit.STEP, 1, STAGE_ENTRY.pack(words[0])),       # another unit
                  (Unit.STAGE, 3, STAGE_ENTRY.pack(words[0]))])     # past the end
    assert stages[2] == {"slots": 0b00110, "first": 1, "base": 3, "stride": 4, "program": 5,
                         "credit_first": 6, "credit_count": 7}
    assert stages[0] == {"slots": 0b11000, "first": 3, "base": 200, "stride": 12, "program": 127,
                         "credit_first": 15, "credit_count": 0}
    assert stages[1]["slots"] == 0


def test_a_stage_can_be_rewritten():
    stages = run([(Unit.STAGE, 0, STAGE_ENTRY.pack(entry(slot_first=0, slot_count=5))),
                  (Unit.STAGE, 0, STAGE_ENTRY.pack(entry(slot_first=4, slot_count=1)))])
    assert stages[0]["slots"] == 0b10000
