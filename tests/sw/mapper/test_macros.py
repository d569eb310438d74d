from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import KV_CONFIG, Unit
from ouroboros.sw.block.limits import BlockError, CoreLimits
from ouroboros.sw.block.macros import Macros
from ouroboros.sw.mapper import macros as mapper

TINY = load_machine("tiny")     # 4 macros of 64 x 16, 8 active rows, words of 16 bytes


def test_macros_are_given_once():
    macros = Macros(CoreLimits(TINY, (1, 1)))
    assert macros.take(3) == [0, 1, 2] and (macros.left, macros.used) == (1, 3)
    with pytest.raises(BlockError, match=r"^core \(1, 1\): macros must be at most 4 on machine "
                                          r"'tiny', not 5: too many by 1$"):
        macros.take(2)


def test_heads_without_a_block_each():
    cut = replace(TINY, cim=replace(TINY.cim, active_rows=16, rows=16))
    with pytest.raises(BlockError) as error:
        two = replace(cut, core=replace(cut.core, macros=2))
        Macros(CoreLimits(two, (2, 2))).set_kv(head_dim=16, heads=2, members=1, member=0)
    assert str(error.value) == ("core (2, 2): 2 KV heads must have at least one block each, not 1 "
                                "K and 1 V blocks and 16 pages in all")


@pytest.mark.parametrize(("head_dim", "heads", "room"), [
    (16, 2, (4, 4)),    # K: 2 macros of 4 blocks; V: 2 macros of 4; two heads share them
    (8, 1, (16, 8)),    # two column slots: one sequence has only one of them
    (8, 3, (5, 4)),     # three heads in two column slots: a slot has two of them
])
def test_blocks_of_all_sequences_and_of_one(head_dim, heads, room):
    machine = replace(TINY, kv=replace(TINY.kv, heads=4))
    macros = Macros(CoreLimits(machine, (1, 1)))
    found = macros.set_kv(head_dim=head_dim, heads=heads, members=2, member=1)
    assert (found.blocks, found.sequence_blocks) == room
    written = mapper.Macros(machine)
    written.set_kv(found.config)
    [write] = written.writes()
    fields = KV_CONFIG.unpack(write.values[0])
    assert {name: fields[name] for name in ("k_macros", "v_macros", "v_slots", "head_dim",
                                            "members", "member")} == {
        "k_macros": 0b0011, "v_macros": 0b1100, "v_slots": 16 // head_dim, "head_dim": head_dim,
        "members": 2, "member": 1}


@pytest.mark.parametrize(("shape", "cut", "spans", "loads", "groups"), [
    ((16, 64), None, [(0, 16)], [(0, 16), (16, 16), (32, 16), (48, 16)], 2),   # four row tiles
    ((40, 64), None, [(0, 40)], [(0, 64)], 8),              # three columns side by side
    ((32, 40), None, [(0, 32)], [(0, 32), (32, 8)], 4),     # row tiles of whole words
    ((70, 30), None, [(0, 48), (48, 70)], [(0, 30)], 4),    # passes as even as columns allow
    ((86, 30), 43, [(0, 43), (43, 86)], [(0, 30)], 4),      # no more passes than without the cut
    ((100, 30), 20, [(0, 64), (64, 100)], [(0, 30)], 4),    # the cut would take a third pass
])
def test_tiles(shape, cut, spans, loads, groups):
    """Products of what is written, added as steps and loads say, are those of the matrix."""
    rng = np.random.default_rng(shape[0])
    matrix, x = rng.integers(-127, 128, shape), rng.integers(-127, 128, shape[1])
    macros = Macros(CoreLimits(TINY, (1, 1)))
    plan = macros.place(*shape, macros.take(4), cut=cut)
    written = mapper.Macros(TINY, macros.steps)
    written.store(plan, matrix)
    assert [(p.low, p.high) for p in plan.passes] == spans and plan.groups == groups
    stored = {write.unit - Unit.WEIGHT: np.stack([
        np.frombuffer(row.to_bytes(16, "little"), np.int8) for row in write.values])
        for write in written.writes()}
    out = []
    for n, one in enumerate(plan.passes):
        assert [(first, count) for first, count, _ in one.loads] == loads
        assert one.first_group == n * groups
        assert one.macros == sum(mask for _, _, mask in one.loads)
        sums = {}
        for first, count, mask in one.loads:
            for macro in (m for m in range(4) if mask >> m & 1):
                rows = stored[macro][8 * one.first_group:][:count].astype(int)
                sums[macro] = x[first:first + count] @ rows
        out.extend(sum(sums[m] for m in range(4) if mask >> m & 1)
                   for mask in macros.steps[one.step:one.step + one.steps])
        out[-1] = out[-1][:(one.high - one.low - 1) % 16 + 1]
    assert (np.concatenate(out) == matrix @ x).all()
