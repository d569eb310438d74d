"""Whole products back to back on a macro and its twin: values, fill and occupancy.

Python wakes when a result stands in the drain registers, not at clock edges, so that thousands of
products of the paper's size take minutes. Reads MACHINE, PRODUCTS and MASKED from the environment;
writes ``products.json`` into the folder of the run.
"""

import json
import os
from collections import deque
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer, with_timeout

from ouroboros.hw.cim.sequencer import command_layout
from ouroboros.hw.params.machine import load_machine

PERIOD_NS = 10
WEIGHTS_EVERY = 500
"""Products after which all weights are written anew; that they pause the array is not counted."""
KINDS = ("random", "extremes", "-128", "all zero", "all ones", "one bit")


class Bench:
    """The pair of macros, driven by words and commands."""

    def __init__(self, dut):
        self.dut = dut
        self.machine = load_machine(os.environ["MACHINE"])
        self.cim = self.machine.cim
        self.word_bytes = self.machine.core.word_bits // 8
        self.rng = np.random.default_rng(int(os.environ.get("COCOTB_RANDOM_SEED", "1")))
        self.weights = np.zeros((self.cim.rows, self.cim.outputs), np.int64)
        self.fields = [(name, field.width) for name, field in command_layout(self.machine)]
        # (expected sums, expected valid) of commands whose results have not come.
        self.waiting: deque[tuple[np.ndarray, np.ndarray]] = deque()
        self.checked = 0

    async def reset(self):
        for name in ("operand__en", "operand__clear", "write__en", "cmd__valid", "beat", "take"):
            getattr(self.dut, name).value = 0
        self.dut.rst.value = 1
        cocotb.start_soon(Clock(self.dut.clk, PERIOD_NS, unit="ns").start())
        for _ in range(2):
            await RisingEdge(self.dut.clk)
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def write_weights(self):
        """All rows, one a cycle; the macro must be idle."""
        for row in range(self.cim.rows):
            self.weights[row] = self.values("random" if row % 4 else "extremes", self.cim.outputs)
            self.dut.write__row.value = row
            self.dut.write__mask.value = (1 << self.cim.outputs) - 1
            wired = [self.cim.write_byte(row, output) for output in range(self.cim.outputs)]
            self.dut.write__data.value = packed(self.weights[row][wired])
            self.dut.write__column.value = 0
            self.dut.write__en.value = 1
            await FallingEdge(self.dut.clk)
        self.dut.write__en.value = 0

    def values(self, kind, count):
        """int8 operands of a kind."""
        rng = self.rng
        if kind == "random":
            return rng.integers(-128, 128, count)
        if kind == "extremes":
            return rng.choice([-128, 127], count)
        if kind == "one bit":
            return rng.integers(0, 2, count) << rng.integers(0, 7)
        return np.full(count, {"-128": -128, "all zero": 0, "all ones": -1}[kind])

    async def load(self, bank, operands, valid):
        """Every word of a bank, one a cycle, while the other bank may be multiplied."""
        for index in range(0, -(-self.cim.rows // self.word_bytes)):
            part = slice(index * self.word_bytes, (index + 1) * self.word_bytes)
            self.dut.operand__bank.value = bank
            self.dut.operand__index.value = index
            self.dut.operand__data.value = packed(operands[part])
            self.dut.operand__mask.value = bits(valid[part])
            self.dut.operand__en.value = 1
            await FallingEdge(self.dut.clk)
        self.dut.operand__en.value = 0

    async def multiply(self, bank, columns):
        """Give the command when the macro takes it; the cycle in which it did."""
        values = {"bank": bank, "first_group": 0, "operand_group": 0, "groups": self.cim.groups,
                  "first": 1, "last": 1, "columns": bits(columns)}
        word = offset = 0
        for name, width in self.fields:
            word |= values[name] << offset
            offset += width
        self.dut.cmd__payload.value = word
        self.dut.cmd__valid.value = 1
        await Timer(1, "ns")
        if not self.dut.cmd__ready.value:
            await RisingEdge(self.dut.cmd__ready)
            # With a clock edge, or with `take` while the clock is low: taken at the next edge.
            if self.dut.clk.value:
                await FallingEdge(self.dut.clk)
        cycle = int(self.dut.cycles.value)
        await FallingEdge(self.dut.clk)
        self.dut.cmd__valid.value = 0
        return cycle

    async def drain(self, products):
        """Take results and compare them; the cycle in which each stood ready."""
        lanes = self.machine.core.lanes
        beats = self.cim.outputs // lanes
        stood = []
        for _ in range(products):
            if not self.dut.full.value:
                await RisingEdge(self.dut.full)
                await FallingEdge(self.dut.clk)
            stood.append(int(self.dut.cycles.value))
            sums, valid = [], []
            for beat in range(beats):
                self.dut.beat.value = beat
                self.dut.take.value = int(beat == beats - 1)
                await Timer(1, "ns")
                word, some = int(self.dut.sums.value), int(self.dut.lanes_valid.value)
                sums += [word >> 32 * lane & 0xffffffff for lane in range(lanes)]
                valid += [some >> lane & 1 for lane in range(lanes)]
                await FallingEdge(self.dut.clk)
            self.dut.take.value = 0
            await Timer(1, "ns")
            want, columns = self.waiting.popleft()
            got = np.array(sums, np.uint32).astype(np.int32)
            assert valid == columns.tolist(), f"product {self.checked}: valid outputs {valid}"
            wrong = np.flatnonzero(got != want)
            assert not wrong.size, (f"product {self.checked}, output {wrong[0]}: got "
                                    f"{got[wrong[0]]}, want {want[wrong[0]]}")
            self.checked += 1
        return stood

    async def batch(self, cases):
        """Products (operands, valid rows, columns) back to back; cycles taken and stood ready."""
        draining = cocotb.start_soon(self.drain(len(cases)))
        taken = []
        for n, (operands, valid, columns) in enumerate(cases):
            await self.load(n % 2, operands, valid)
            sums = np.where(valid, operands, 0) @ self.weights
            self.waiting.append((np.where(columns, sums, 0), columns.astype(int)))
            taken.append(await self.multiply(n % 2, columns))
        stood = await with_timeout(draining, 100 * self.cim.mvm_cycles * PERIOD_NS, "ns")
        assert not self.dut.differ.value, "twin must equal macro in every cycle"
        return taken, stood


@cocotb.test()
async def whole_products(dut):
    """Products of all rows equal integer arithmetic; the array hardly pauses between them."""
    bench = Bench(dut)
    await bench.reset()
    cim, left = bench.cim, int(os.environ["PRODUCTS"])
    rows, columns = np.ones(cim.rows, bool), np.ones(cim.outputs, bool)
    busy = span = 0
    fills, pauses = set(), []
    while left:
        await bench.write_weights()
        count = min(left, WEIGHTS_EVERY)
        cases = [(bench.values(KINDS[n % len(KINDS)] if n % 2 else "random", cim.rows), rows,
                  columns) for n in range(count)]
        taken, stood = await bench.batch(cases)
        fills |= {end - begin - cim.mvm_cycles for begin, end in zip(taken, stood, strict=True)}
        # From the first result to the last: `count - 1` products.
        busy, span = busy + (count - 1) * cim.mvm_cycles, span + stood[-1] - stood[0]
        pauses += np.diff(stood).tolist()
        left -= count
    occupancy = busy / span if span else None
    write({"products": bench.checked, "cycles_per_product": cim.mvm_cycles,
           "fill_cycles": sorted(fills), "occupancy": occupancy,
           "longest_interval_cycles": max(pauses, default=None)})
    assert fills == {cim.fill_cycles}, f"fill must be {cim.fill_cycles} cycles, not {fills}"
    assert occupancy is None or occupancy >= 0.99


@cocotb.test(skip=not int(os.environ.get("MASKED", "0")))
async def every_token_count(dut):
    """Attention: every number of valid rows (V of so many tokens) and of columns (K of as many)."""
    bench = Bench(dut)
    await bench.reset()
    cim = bench.cim
    await bench.write_weights()
    every, step = np.arange(cim.rows), int(os.environ["MASKED"])
    counts = [(rows, cim.outputs) for rows in range(1, cim.rows + 1, step)]
    counts += [(cim.rows, columns) for columns in range(1, cim.outputs + 1, step)]
    cases = [(bench.values("random", cim.rows), every < rows, np.arange(cim.outputs) < columns)
             for rows, columns in counts]
    taken, stood = await bench.batch(cases)
    for n, (rows, _) in enumerate(counts):
        groups = -(-rows // cim.active_rows)
        want = cim.command_cycles(groups) + cim.fill_cycles
        # An earlier result in the drain registers may hold this one up, never hurry it.
        assert stood[n] - taken[n] >= want, f"{rows} rows: {stood[n] - taken[n]} cycles"
    write({"token_counts": len(counts)})


def write(found):
    """Add to the results of this run."""
    path = Path("products.json")
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | found))


def packed(values):
    """int8 values as one integer, the first lowest."""
    return int.from_bytes(values.astype(np.int8).tobytes(), "little")


def bits(mask):
    """Flags as one integer, the first lowest."""
    return int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little")
