"""Two layouts of a chain: every time as in full, and the long one only where it is needed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.sw.wafer.chain import Cell, Chain, Window
from ouroboros.sw.wafer.nodes import push_all
from ouroboros.sw.wafer.plan import clear, make_plan
from ouroboros.sw.wafer.policy import Rules
from ouroboros.sw.wafer.run import Traffic, run

RULES = Rules(block_tokens=16, members=2, blocks=64, sequence_blocks=16, sequences=60, context=400,
              headroom_blocks=1, ring=0, static_tokens=0)


def chain(layers, slots, *, steep=0.2, spread=0, seed=0, contexts=400):
    """Blocks in which contexts beyond about 300 hold attention longer than anything else."""
    rng = np.random.default_rng(seed)
    cells, windows = [Cell("in", 5, 13), Cell("mesh", 38, 0)], [Window("in", 0, 0, 8, 7)]
    for layer in range(layers):
        first = len(cells)
        for name, hold, way in (("norm 1", 9, 36), ("QKV", 37, 58), ("attention", 0, 6),
                                ("projection", 40, 57), ("norm 2", 5, 39), ("up", 36, 48),
                                ("down", 27, 90)):
            cells.append(Cell(f"{name} {layer}", hold + int(rng.integers(0, spread + 1)),
                              way + int(rng.integers(0, 9 * spread + 1)), name == "attention"))
        windows += [Window(f"qkv {layer}", first, first + 4, slots, -13),
                    Window(f"kv {layer}", first + 1, first + 2, slots - 1, -49)]
        if layer:
            windows.append(Window(f"down {layer}", first - 3, first, slots, -5))
    at = np.arange(contexts + 1)
    return Chain((*cells, Cell("out", 36, 106)), tuple(windows), 10 + (at * steep / 2).astype(int),
                 (50 + at * steep).astype(int), 2 + 7, 2 + 7 * (layers - 1),
                 7)


@pytest.mark.parametrize(("slots", "steep", "spread"), [
    (8, 0.2, 0), (8, 0.2, 3), (7, 0.19, 0), (9, 0.3, 1), (6, 0.25, 0), (12, 0.5, 2)])
def test_every_finish_is_that_of_all_cells(slots, steep, spread):
    machine = chain(6, slots, steep=steep, spread=spread)
    plan = make_plan(machine)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        count = 150
        prompts = np.where(rng.random(count) < 0.05, 340, rng.integers(5, 90, count))
        outputs = rng.integers(1, 50, count)
        arrivals = np.cumsum(rng.integers(0, [1, 2000, 6000, 20000][seed], count))
        traffic = Traffic(arrivals, prompts, outputs)
        full = run(machine, RULES, traffic, mode="full")
        exact = run(machine, RULES, traffic)
        assert np.array_equal(full.end, exact.end) and np.array_equal(full.first, exact.first)
        assert np.array_equal(full.by_context, exact.by_context)
        if plan.short is not plan.long:
            assert 0 < exact.long_tokens < exact.injected
    assert plan.limit < machine.contexts or slots > 8


def go_on(nodes, state, phases, arrivals, contexts):
    return push_all(np.array(arrivals), np.array(contexts), nodes.times, nodes.places,
                    nodes.sections, nodes.end, nodes.slots, state, phases, nodes.hold_at,
                    nodes.way_at)


def test_the_short_layout_waits_until_all_is_clear():
    """Behind long contexts both layouts differ, until the conditions hold; from then on never."""
    at = np.arange(401)
    # Held for longer than the way takes longer: who comes behind waits for the cell itself.
    plan = make_plan(replace(chain(6, 7), hold_at=(10 + at * 0.3).astype(int),
                             way_at=(50 + at * 0.1).astype(int)))
    long, short = plan.long, plan.short
    assert short is not long and len(plan.clear) > 6
    state, phases = long.fresh()
    assert clear.py_func(plan.clear, long.slots, state, phases)
    seen = set()
    now, rng = 0, np.random.default_rng(0)
    for n in range(300):
        behind = n % 100 < 12
        context = 340 if behind else int(rng.integers(1, plan.limit))
        now += int(rng.integers(0, 2 if behind else 400))
        go_on(long, state, phases, [now], [context])
        good = clear.py_func(plan.clear, long.slots, state, phases)
        later, contexts = np.full(50, now), rng.integers(1, plan.limit, 50)
        same = np.array_equal(go_on(long, state.copy(), phases.copy(), later, contexts),
                              go_on(short, state.copy(), phases.copy(), later, contexts))
        assert same or not good
        seen.add((bool(good), same))
    assert {(True, True), (False, False)} <= seen


def test_each_slot_must_be_clear():
    """The i-th next token comes i holds later, and finds its slot by then."""
    plan = make_plan(chain(6, 8))
    rows = [row for row in plan.clear if row[1] > 1]
    assert len(rows) > 10
    for row in rows:
        base, slots, phase, place, cycles, hold = row
        for turn in (0, 3):
            for later in (0, slots - 1):
                state, phases = plan.long.fresh()
                state[place] = 1000
                phases[phase] = turn
                slot = base + (turn + later) % slots
                state[slot] = 1000 + cycles + later * hold
                assert clear.py_func(row[None], plan.long.slots, state, phases)
                state[slot] += 1
                assert not clear.py_func(row[None], plan.long.slots, state, phases)


def test_fast_is_near():
    machine = chain(20, 8, steep=0.1)
    rng = np.random.default_rng(3)
    traffic = Traffic(np.zeros(300, np.int64), rng.integers(5, 90, 300), rng.integers(1, 90, 300))
    # With room for all: who gives way to whom is a matter of cycles.
    rules = RULES._replace(blocks=500)
    exact, fast = (run(machine, rules, traffic, mode=mode) for mode in ("exact", "fast"))
    assert fast.nodes < exact.nodes
    assert np.abs(fast.end / exact.end - 1).max() < 0.0075


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_nothing_is_lost(data):
    """Tokens in are tokens out or refused, no cell is held longer than there is time."""
    count = data.draw(st.integers(1, 30))
    lengths = st.lists(st.integers(1, 300), min_size=count, max_size=count)
    prompts, outputs = np.array(data.draw(lengths)), np.array(data.draw(lengths))
    rules = RULES._replace(blocks=data.draw(st.integers(10, 40)), ring=data.draw(st.integers(0, 1)),
                           static_tokens=data.draw(st.sampled_from([0, 200])))
    rules = rules._replace(sequence_blocks=min(rules.blocks, 16))
    machine = chain(3, 8)
    found = run(machine, rules, Traffic(np.zeros(count, np.int64), prompts, outputs),
                grain=data.draw(st.sampled_from(["token", "sequence"])))
    most = min(400, rules.static_tokens or 400, rules.sequence_blocks * 2 * 16)
    assert (found.refused == (prompts + outputs > most)).all()
    assert (found.generated == np.where(found.served, outputs, 0)).all()
    # The last generated token is not computed with.
    assert found.tokens - found.recomputed == (prompts + outputs - 1)[found.served].sum()
    assert found.injected == found.tokens + found.poisoned + found.frees
    contexts = (found.by_context * machine.hold_at).sum()
    for cell in machine.cells:
        # What is behind the last result need not be: cells are held behind it.
        least = cell.hold * (found.injected - 1) + (
            contexts - machine.hold_at.max() * (found.frees + 1) if cell.context else 0)
        assert least <= found.cycles + 2000 or not found.served.any()
    assert 0 <= found.kv_share <= found.kv_peak <= 1


def test_more_room_is_not_slower():
    machine = chain(6, 8)
    ends = []
    for blocks in (16, 24, 32, 64, 128):
        rules = RULES._replace(blocks=blocks)
        traffic = Traffic(np.zeros(200, np.int64), np.full(200, 60), np.full(200, 60))
        ends.append(run(machine, rules, traffic).cycles)
    assert ends == sorted(ends, reverse=True) and ends[0] > 1.5 * ends[-1]
