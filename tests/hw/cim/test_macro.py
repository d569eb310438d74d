import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from amaranth.hdl import Fragment

from ouroboros.hw.cim.macro import Macro
from ouroboros.hw.lib.library import Library, flat_ports
from ouroboros.hw.params.cim import CimParams
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.macro import Macro as Golden
from ouroboros.tb.cim.macro_traffic import MacroTraffic
from ouroboros.tb.lib.pysim import PySim

TINY = load_machine("tiny")


def machine(**cim):
    return replace(TINY, cim=CimParams(**{"rows": 32, "outputs": 8, "active_rows": 8, **cim}))


@cache
def simulated(machine):
    return PySim(Macro(machine))


class Driver:
    """Drives a macro one cycle at a time."""

    def __init__(self, ctx, params):
        self.ctx = ctx
        self.params = params
        self.cycle = 0
        self.active = 0

    def bind(self, dut):
        self.dut = dut
        self.ports = {name: value for name, _, value in flat_ports(dut)}
        return self

    def set(self, values):
        for name in ("operand__en", "operand__clear", "write__en", "cmd__valid"):
            self.ctx.set(self.ports[name], values.get(name, 0))
        fields = {}
        for name, value in values.items():
            if name.startswith("cmd."):
                fields[name[4:]] = value
            else:
                self.ctx.set(self.ports[name], value)
        if fields:
            self.ctx.set(self.dut.cmd.payload, fields)

    async def tick(self):
        self.active += self.ctx.get(self.dut.active)
        await self.ctx.tick()
        self.cycle += 1

    def shown(self):
        return ([self.ctx.get(lane) for lane in self.dut.sums], self.ctx.get(self.dut.lanes_valid))

    async def write(self, weights):
        for row, values in enumerate(weights):
            self.set({"write__en": 1, "write__row": row, "write__mask": -1,
                      "write__data": packed(values)})
            await self.tick()
        self.set({})

    async def load(self, bank, index, values, mask=-1, clear=0):
        self.set({"operand__en": 1, "operand__clear": clear, "operand__bank": bank,
                  "operand__index": index, "operand__data": packed(values), "operand__mask": mask})
        await self.tick()
        self.set({})

    async def command(self, **fields):
        """Issue a command; the number of the cycle in which it was accepted."""
        whole = {"bank": 0, "first_group": 0, "operand_group": 0, "groups": self.params.groups,
                 "first": 1, "last": 1, "columns": (1 << self.params.outputs) - 1}
        self.set({"cmd__valid": 1, **{f"cmd.{k}": v for k, v in {**whole, **fields}.items()}})
        while not self.ctx.get(self.dut.cmd.ready):
            await self.tick()
        accepted = self.cycle
        await self.tick()
        self.set({})
        return accepted

    async def full(self):
        while not self.ctx.get(self.dut.full):
            await self.tick()
        return self.cycle

    async def result(self):
        """Sums and valid bits of the result in the drain registers, which are freed."""
        await self.full()
        sums, valid = [], []
        lanes = len(self.dut.sums)
        for beat in range(self.params.outputs // lanes):
            self.ctx.set(self.dut.beat, beat)
            some, bits = self.shown()
            sums += some
            valid += [bits >> lane & 1 for lane in range(lanes)]
        self.ctx.set(self.dut.take, 1)
        await self.tick()
        self.ctx.set(self.dut.take, 0)
        return sums, valid


def packed(values):
    return int.from_bytes(np.asarray(values, np.int8).tobytes(), "little")


def run(story, **cim):
    params = machine(**cim)
    sim = simulated(params)

    async def testbench(ctx):
        await story(Driver(ctx, params.cim).bind(sim.dut))

    sim.run(testbench)


def weights_of(seed, params):
    return np.random.default_rng(seed).integers(-128, 128, (params.rows, params.outputs))


DIRECTED = [
    # operands, weights (same for all), expected sum
    ("zero", [0] * 16, 127, 0),
    ("one", [1] + [0] * 15, 77, 77),
    ("negative operand", [-1] + [0] * 15, 77, -77),
    ("negative weight", [3] + [0] * 15, -128, -384),
    ("both extreme", [-128] * 16, -128, 16 * 16384),
    ("mixed extreme", [-128] * 16, 127, -16 * 16256),
    ("positive extreme", [127] * 16, 127, 16 * 16129),
]


@pytest.mark.parametrize(("operands", "weight", "expected"), [c[1:] for c in DIRECTED],
                         ids=[c[0] for c in DIRECTED])
def test_products(operands, weight, expected):
    async def story(macro):
        await macro.write(np.full((16, 8), weight))
        await macro.load(0, 0, operands)
        await macro.command()
        assert await macro.result() == ([expected] * 8, [1] * 8)

    run(story, rows=16)


@pytest.mark.parametrize("masks", [(0, 0), (1, 0), (0, 0x8000), (0xff00, 0x00ff), (-1, -1)])
def test_cycles_count_valid_groups_only(masks):
    """Command accepted -> full takes command_cycles(g) + fill_cycles."""
    async def story(macro):
        golden = Golden(machine())
        rng = np.random.default_rng(7)
        for index, mask in enumerate(masks):
            values = rng.integers(-128, 128, 16)
            await macro.load(1, index, values, mask)
            golden.load(1, index, values, np.array([bool(mask >> k & 1) for k in range(16)]))
        cycles = golden.command_cycles(1, 0, macro.params.groups)
        accepted = await macro.command(bank=1)
        assert await macro.full() == accepted + cycles + macro.params.fill_cycles
        assert macro.active == (cycles if any(masks) else 0)

    run(story)


def test_back_to_back_commands_leave_no_bubble():
    async def story(macro):
        await macro.load(0, 0, [1] * 16)
        await macro.load(0, 1, [1] * 16)
        accepted = [await macro.command(first=0, last=0) for _ in range(4)]
        cycles = macro.params.mvm_cycles
        assert np.diff(accepted).tolist() == [cycles] * 3
        start = macro.active
        for _ in range(cycles):
            await macro.tick()
        assert macro.active - start <= cycles
        for _ in range(8):
            await macro.tick()
        assert macro.active == 4 * cycles

    run(story)


def test_full_drain_holds_macro_and_take_frees_it_at_once():
    async def story(macro):
        weights = weights_of(1, macro.params)
        await macro.write(weights)
        await macro.load(0, 0, [1] * 16)
        await macro.load(1, 0, [2] * 16)
        accepted = await macro.command(bank=0)
        await macro.command(bank=1)
        third = await macro.command(bank=0, groups=0, first=0)
        assert third == accepted + 32
        for _ in range(40):
            await macro.tick()
        assert not macro.ctx.get(macro.dut.cmd.ready)
        ones = weights[:16].sum(axis=0)
        for expected in (ones, 2 * ones, 2 * ones):
            assert macro.ctx.get(macro.dut.full)
            assert await macro.result() == (expected.tolist(), [1] * 8)
        assert not macro.ctx.get(macro.dut.full)
        assert macro.active == 32

    run(story)


def test_columns_outside_drain_zero_and_invalid():
    async def story(macro):
        await macro.write(np.full((32, 8), 5))
        await macro.load(0, 0, [2] * 16)
        await macro.command(columns=0b10010110)
        valid = [0, 1, 1, 0, 1, 0, 0, 1]
        assert await macro.result() == ([160 * bit for bit in valid], valid)

    run(story)


def test_accumulate_then_flush():
    async def story(macro):
        weights = weights_of(2, macro.params)
        await macro.write(weights)
        await macro.load(0, 0, range(16))
        await macro.command(first_group=2, groups=2, last=0)
        await macro.command(operand_group=1, groups=1, first=0, last=0)
        await macro.command(groups=0, first=0)
        expected = np.arange(16) @ weights[16:] + np.arange(8, 16) @ weights[:8]
        assert (await macro.result())[0] == expected.tolist()
        await macro.command(groups=0, first=1)
        assert (await macro.result())[0] == [0] * 8

    run(story)


def test_clear_comes_before_load_of_the_same_cycle():
    async def story(macro):
        await macro.write(np.ones((32, 8), int))
        await macro.load(0, 0, [9] * 16)
        await macro.load(1, 0, [7] * 16)
        await macro.load(0, 1, [1] * 16, mask=0b101, clear=1)
        await macro.command(bank=0)
        assert (await macro.result())[0] == [2] * 8
        await macro.command(bank=1)
        assert (await macro.result())[0] == [112] * 8

    run(story)


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("cim", [{}, {"rows": 8, "active_rows": 4}, {"active_rows": 16},
                                 {"rows": 16, "outputs": 4, "active_rows": 1},
                                 {"k_write_rows_per_cycle": 2},
                                 {"k_write_rows_per_cycle": 8}],
                         ids=["plain", "part word", "one group a word", "one row",
                              "two rows written", "all rows written"])
def test_random_traffic_matches_golden(cim, stall):
    async def story(macro):
        traffic = MacroTraffic(machine(**cim), 25, stall, random.Random(11))
        ctx, dut = macro.ctx, macro.dut
        while not traffic.done:
            full = bool(ctx.get(dut.full))
            beat, take = traffic.drain(full)
            ctx.set(dut.beat, beat)
            ctx.set(dut.take, take)
            macro.set(traffic.inputs(bool(ctx.get(dut.cmd.ready))))
            traffic.check(full, beat, take, *macro.shown())
            await macro.tick()
            assert macro.cycle < 5000
        assert traffic.checked > 5
        macro.set({})
        for _ in range(macro.params.mvm_cycles + macro.params.fill_cycles):
            await macro.tick()
        assert macro.active == traffic.active_cycles

    run(story, **cim)


def test_worst_sums_fit_at_paper_scale():
    """Widths as in the block: planes 8 + log2(rows) bits, groups 8 more, sums 32."""
    params = load_machine("die").cim
    log2_rows = params.active_rows.bit_length() - 1
    planes = (-128 * params.active_rows, 127 * params.active_rows)
    assert -2 ** (7 + log2_rows) <= planes[0] and planes[1] < 2 ** (7 + log2_rows)
    for steps in range(1, 9):
        # After `steps` bits the group register holds the sum of plane << bit, shifted up.
        weights = [2 ** (7 - steps + 1 + bit) for bit in range(steps)]
        signs = [-1 if bit == 7 else 1 for bit in range(steps)]
        ends = [sum(w * (s * planes[k ^ (s < 0)]) for w, s in zip(weights, signs, strict=True))
                for k in (0, 1)]
        assert -2 ** (15 + log2_rows) <= ends[0] and ends[1] < 2 ** (15 + log2_rows)
    assert 128 * 128 * params.rows < 2**31


def test_paper_scale_elaborates():
    Fragment.get(Macro(load_machine("die")), None)


@pytest.mark.slow
def test_paper_scale_converts():
    library = Library()
    library.define("macro", lambda: Macro(load_machine("die")), params=0)
    assert "module macro(" in library.text()
