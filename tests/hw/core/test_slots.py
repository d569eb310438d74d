import random
from dataclasses import replace
from functools import cache

import pytest

from ouroboros.hw.core.slots import Slots, SlotState
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")
MACHINE = replace(TINY, core=replace(TINY.core, stages=3, slots=6, credits=3))
POISON = 2
# Stage 0 has slots 0 and 1, stage 1 slots 2 to 4; stage 2 none.
STAGES = [{"slots": 0b000011, "first": 0, "base": 10, "stride": 7, "program": 20},
          {"slots": 0b011100, "first": 2, "base": 100, "stride": 30, "program": 40},
          {"slots": 0, "first": 0, "base": 0, "stride": 0, "program": 0}]


@cache
def simulated():
    return PySim(Slots(MACHINE))


def simulate(bench):
    sim = simulated()
    dut = sim.dut

    async def run(ctx):
        for stage, entry in zip(dut.stages, STAGES, strict=True):
            for name, value in entry.items():
                ctx.set(getattr(stage, name), value)
        await bench(ctx, dut)

    sim.run(run)


async def lookup(ctx, dut, stage, sequence, position):
    """(slot, base) that the answer in the next cycle names, or None."""
    assert ctx.get(dut.lookup.ready)
    ctx.set(dut.lookup.valid, 1)
    ctx.set(dut.lookup.p, {"stage": stage, "sequence": sequence, "position": position})
    await ctx.tick()
    ctx.set(dut.lookup.valid, 0)
    assert ctx.get(dut.found.valid)
    answer = ctx.get(dut.found.p)
    return (answer.slot, answer.base) if answer.ok else None


async def update(ctx, dut, index, state, **fields):
    ctx.set(dut.index, index)
    ctx.set(dut.update, {"valid": 1, "state": state, "advance": 0, "met": 0, "now": 0,
                         "operand": 0, "packets": 0, "unit": 0, "credits": 0, **fields})
    await ctx.tick()
    ctx.set(dut.update.valid, 0)


def test_a_token_is_known_by_name():
    async def bench(ctx, dut):
        assert await lookup(ctx, dut, 1, 5, 9) == (2, 100)
        assert await lookup(ctx, dut, 1, 5, 10) == (3, 130)     # another position
        assert await lookup(ctx, dut, 1, 6, 9) == (4, 160)      # another sequence
        assert await lookup(ctx, dut, 0, 5, 9) == (0, 10)       # another stage
        assert await lookup(ctx, dut, 1, 5, 9) == (2, 100)
        assert await lookup(ctx, dut, 1, 5 + (1 << 15), 9) is None
        assert await lookup(ctx, dut, 1, 6, 9) == (4, 160)
        assert await lookup(ctx, dut, 0, 5, 9 + (1 << 19)) == (1, 17)
        await ctx.tick()
        assert not ctx.get(dut.found.valid)

    simulate(bench)


def test_a_full_or_unused_stage_answers_no():
    async def bench(ctx, dut):
        for n in range(2):
            assert await lookup(ctx, dut, 0, n, 0) is not None
        assert await lookup(ctx, dut, 0, 2, 0) is None
        assert await lookup(ctx, dut, 2, 0, 0) is None      # has no slots
        assert await lookup(ctx, dut, 3, 0, 0) is None      # does not exist
        assert await lookup(ctx, dut, 4, 1, 0) is None      # nor one with the low bits of 0,
        assert await lookup(ctx, dut, 5, 1, 0) is None      # though stage 0 has that token
        assert await lookup(ctx, dut, 1, 2, 0) == (2, 100)
        await update(ctx, dut, 0, SlotState.FREE)
        assert await lookup(ctx, dut, 0, 2, 0) == (0, 10)

    simulate(bench)


def test_a_new_token_starts_clean():
    async def bench(ctx, dut):
        await lookup(ctx, dut, 0, 1, 1)
        ctx.set(dut.arrived.valid, 1)
        ctx.set(dut.arrived.p, {"slot": 0, "operand": 3, "flags": 5})
        await ctx.tick()
        ctx.set(dut.arrived.valid, 0)
        await update(ctx, dut, 0, SlotState.FETCH, met=1, now=77)
        assert ctx.get(dut.slot).flags == 5
        ctx.set(dut.arrived.valid, 1)
        await update(ctx, dut, 0, SlotState.FREE)
        ctx.set(dut.arrived.valid, 0)
        await lookup(ctx, dut, 0, 1, 1)
        slot = ctx.get(dut.slot)
        assert (slot.flags, [*slot.counts], slot.pc, slot.started) == (0, [0, 0, 0, 0], 20, 0)
        await update(ctx, dut, 0, SlotState.FETCH, met=1, now=88, advance=1)
        await update(ctx, dut, 0, SlotState.FETCH, met=1, now=99)
        slot = ctx.get(dut.slot)
        assert (slot.start, slot.pc, slot.flags) == (88, 21, 0)    # stamped by the first WAIT

    simulate(bench)


class Model:
    """Plain copy of the slots' rules; ages by order in ``order``."""

    def __init__(self):
        self.slots = {}

    def lookup(self, stage, sequence, position):
        for index, slot in self.slots.items():
            if slot["name"] == (stage, sequence, position):
                return index, slot["base"]
        entry = STAGES[stage]
        free = [n for n in range(MACHINE.core.slots)
                if entry["slots"] >> n & 1 and n not in self.slots]
        if not free:
            return None
        base = entry["base"] + (free[0] - entry["first"]) * entry["stride"]
        self.slots[free[0]] = {"name": (stage, sequence, position), "base": base, "flags": 0,
                               "coming": 0, "pc": entry["program"], "state": SlotState.FETCH,
                               "counts": [0, 0, 0, 0]}
        return free[0], base

    def runnable(self, slot, index, free, opened, credits):
        state, waits = slot["state"], slot.get("waits")
        if state == SlotState.OPERAND:
            return slot["counts"][waits["operand"]] >= waits["packets"]
        if state == SlotState.UNIT:
            return free >> waits["unit"] & 1 and (waits["unit"] or opened >> index & 1)
        if state == SlotState.CREDIT:
            return not waits["credits"] & ~credits
        return state == SlotState.FETCH


@pytest.mark.parametrize("seed", range(3))
def test_random_traffic(seed):
    """Lookups, arrivals, completions and updates of all kinds at once, against the model."""
    rng = random.Random(seed)
    model = Model()
    picked, refused, states = set(), 0, set()

    async def bench(ctx, dut):
        nonlocal refused
        for _ in range(250):
            free, opened, credits = rng.randrange(8), rng.getrandbits(6), rng.randrange(8)
            ctx.set(dut.unit_free, free)
            ctx.set(dut.array_open, opened)
            ctx.set(dut.credit_ready, credits)
            # What the dispatcher sees.
            able = [n for n, slot in model.slots.items()
                    if model.runnable(slot, n, free, opened, credits)]
            assert ctx.get(dut.any_runnable) == bool(able)
            if able:
                assert ctx.get(dut.oldest) == able[0]
                picked.add((able[0], len(able)))
            for n in range(3):
                held = {s["state"] for s in model.slots.values() if s["name"][0] == n}
                busy = bool(held & {SlotState.RUN, SlotState.FETCH, SlotState.UNIT})
                blocked = not busy and SlotState.CREDIT in held
                waiting = not busy and not blocked and SlotState.OPERAND in held
                assert [ctx.get(getattr(dut, f"stage_{name}")) >> n & 1 for name in (
                    "busy", "blocked", "waiting")] == [busy, blocked, waiting]
            # What it does with it.
            act = bool(able) and rng.random() < 0.7
            index = able[0] if able else 0
            ctx.set(dut.index, index)
            ctx.set(dut.update.valid, act)
            before = model.slots.get(index)
            if before is not None:
                shown = ctx.get(dut.slot)
                stage, sequence, position = before["name"]
                assert (shown.stage, shown.sequence, shown.position, shown.base, shown.pc,
                        shown.flags, [*shown.counts]) == (
                    stage, sequence, position, before["base"], before["pc"], before["flags"],
                    before["counts"])
            running = [n for n, slot in model.slots.items() if slot["state"] == SlotState.RUN]
            if act:
                state = rng.choice([*SlotState, SlotState.RUN, SlotState.RUN])
                waits = {"operand": rng.randrange(4), "packets": rng.randrange(3),
                         "unit": rng.randrange(3), "credits": rng.randrange(8)}
                advance = int(state == SlotState.FETCH)
                met = advance and rng.random() < 0.5
                ctx.set(dut.update, {"valid": 1, "state": state, "advance": advance, "met": met,
                                     "now": 0, **waits})
                states.add(state)
                if met:
                    before["flags"] |= before["coming"]
            # Units that finish.
            done = rng.sample(running, min(len(running), rng.randrange(3)))
            units = rng.sample(range(3), len(done))
            for unit in range(3):
                ctx.set(dut.finished[unit].valid, 0)
            for unit, slot in zip(units, done, strict=True):
                poison = rng.random() < 0.3
                ctx.set(dut.finished[unit], {"valid": 1, "slot": slot, "poison": poison})
                model.slots[slot]["state"] = SlotState.FETCH
                model.slots[slot]["pc"] += 1
                model.slots[slot]["flags"] |= POISON * poison
            # Packets.
            ctx.set(dut.arrived.valid, 0)
            if model.slots and rng.random() < 0.6:
                slot, operand, flags = rng.choice([*model.slots]), rng.randrange(4), \
                    rng.choice([0, 0, 1, 4, 8])
                ctx.set(dut.arrived.valid, 1)
                ctx.set(dut.arrived.p, {"slot": slot, "operand": operand, "flags": flags})
                model.slots[slot]["counts"][operand] += 1
                model.slots[slot]["coming"] |= flags
            # A slot that is freed in this cycle is not given away before the next.
            asked = rng.random() < 0.6
            ctx.set(dut.lookup.valid, asked)
            name = (rng.randrange(2), rng.randrange(2), rng.randrange(3))
            ctx.set(dut.lookup.p, dict(zip(("stage", "sequence", "position"), name, strict=True)))
            if act and model.slots[index]["name"] == name:
                asked = False    # the ingress never asks for a token that ends
                ctx.set(dut.lookup.valid, 0)
            answer = model.lookup(*name) if asked else None
            if act:
                slot = model.slots[index]
                slot["state"], slot["waits"] = state, waits
                slot["pc"] += advance
                if state == SlotState.FREE:
                    del model.slots[index]
            await ctx.tick()
            assert ctx.get(dut.found.valid) == asked
            if asked:
                found = ctx.get(dut.found.p)
                assert ((found.slot, found.base) if found.ok else None) == answer
                refused += answer is None

    simulate(bench)
    assert refused and len(picked) > 5 and len(states) == len(SlotState)


def test_flags_of_packets_count_from_the_next_wait():
    """Whatever a token is about to do, it goes on with until it waits; poison counts at once."""
    async def bench(ctx, dut):
        await lookup(ctx, dut, 0, 0, 0)
        await update(ctx, dut, 0, SlotState.RUN)
        ctx.set(dut.finished[0], {"valid": 1, "slot": 0, "poison": 1})
        ctx.set(dut.arrived.valid, 1)
        ctx.set(dut.arrived.p, {"slot": 0, "operand": 1, "flags": 8})
        await ctx.tick()
        ctx.set(dut.finished[0].valid, 0)
        ctx.set(dut.arrived.p.flags, 4)     # comes in the very cycle of the WAIT
        slot = ctx.get(dut.slot)
        assert (slot.flags, slot.counts[1], slot.pc) == (POISON, 1, 21)
        await update(ctx, dut, 0, SlotState.FETCH, met=1)
        ctx.set(dut.arrived.valid, 0)
        assert ctx.get(dut.slot).flags == 8 | POISON
        await update(ctx, dut, 0, SlotState.FETCH)
        assert ctx.get(dut.slot).flags == 8 | POISON
        await update(ctx, dut, 0, SlotState.FETCH, met=1)
        assert ctx.get(dut.slot).flags == 8 | 4 | POISON

    simulate(bench)
