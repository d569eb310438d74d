"""A rank of memory with processing units, its checker and its controller, under simulators."""

import json
from dataclasses import replace

import pytest

from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.dram import DDR4_3200
from ouroboros.hw.params.pim import RANK
from ouroboros.hw.params.timing.pim import attention_cycles, efficiency
from ouroboros.hw.pim.checker import TimingChecker
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.tb.flow.build import SIMULATORS, build, run, simulate
from ouroboros.tb.pim.measure import TierRtl, attention
from ouroboros.tb.pim.near import SHORT
from ouroboros.tb.pim.rtl import ALONE, RANK_TOP, emit_controller, emit_rank
from ouroboros.tb.pim.sizes import SIZES
from ouroboros.tb.pim.traffic import RandomTraffic

BENCHES = "ouroboros.tb.pim.bench_"


@pytest.mark.sim
@pytest.mark.parametrize("staggered, exp_bits, stall", [
    ("0", "7", "0.0"), ("1", "12", "0.3")], ids=["lockstep", "staggered"])
@pytest.mark.parametrize("size", ["mini", "flat"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_heads(sim, size, staggered, exp_bits, stall):
    """Heads of several lengths, and K and V read back: all as the golden model has it."""
    simulate(RANK_TOP, emit_rank(SIZES[size]), sim=sim, test_module=f"{BENCHES}rank", env={
        "SIZE": size, "TOKENS": "33,1,20" if sim == "icarus" else "65,1,130",
        "STAGGERED": staggered, "EXP_BITS": exp_bits, "STALL": stall})


@pytest.mark.sim
@pytest.mark.parametrize("commands", [
    2000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_the_checker_says_what_the_golden_model_says(sim, commands):
    """Right and wrong commands near every limit; each rule is broken by some of them."""
    library = Library()
    library.define("pim_checker", lambda: TimingChecker(RANK.banks, RANK.groups, SHORT),
                   params=SHORT)
    found = simulate("pim_checker", library.sources(), sim=sim, test_module=f"{BENCHES}checker",
                     env={"COMMANDS": str(commands if sim == "verilator" else 1000)})
    print((found.directory / "checker.json").read_text())


@pytest.mark.sim
@pytest.mark.parametrize("commands, look", [
    (20_000, 3000), pytest.param(1_000_000, 30_000, marks=pytest.mark.slow)])
def test_no_random_command_breaks_a_timing(commands, look):
    """What a gate lets through at random, the checker beside it never objects to."""
    library = Library()
    library.define("pim_traffic", lambda: RandomTraffic(RANK.banks, RANK.groups, DDR4_3200),
                   params=RANK)
    found = simulate("pim_traffic", library.sources(), sim="verilator",
                     test_module=f"{BENCHES}traffic",
                     env={"COMMANDS": str(commands), "LOOK": str(look)})
    given = json.loads((found.directory / "traffic.json").read_text())
    print(given)
    assert sum(given.values()) >= commands


def controller(size, *, staggered, tokens, phases, batch=1):
    """What the controller alone gives."""
    built = build(ALONE, emit_controller(replace(SIZES[size], refresh_batch=batch)),
                  sim="verilator")
    found = run(built, test_module=f"{BENCHES}controller", env={
        "SIZE": size, "REFRESH_BATCH": str(batch), "PHASES": phases, "TOKENS": str(tokens),
        "STAGGERED": str(int(staggered))})
    return json.loads((found.directory / "controller.json").read_text())


@pytest.mark.sim
@pytest.mark.parametrize("phases", ["score", "context"])
def test_all_bank_efficiency(phases):
    """With refreshes: 0.82 in lockstep, above 0.90 staggered, and what the formula says."""
    lockstep, staggered = (controller("long", staggered=one, tokens=131072, phases=phases)
                           for one in (False, True))
    assert lockstep["refreshes"] >= 20 and staggered["refreshes"] >= 20
    assert lockstep["efficiency"] == pytest.approx(0.82, abs=0.01)
    assert lockstep["efficiency"] == pytest.approx(efficiency(RANK), abs=0.004)
    assert staggered["efficiency"] >= 0.90
    assert staggered["efficiency"] == pytest.approx(efficiency(RANK, staggered=True), abs=0.004)


@pytest.mark.sim
def test_a_small_run_of_the_command():
    """Bits are compared in the bench; clocks are those of the formula.

    So short a run has a refresh more or less than the mean: both sides are without them (the
    formula but for a few).
    """
    found = attention(TierRtl(rank="flat", tokens=200, heads=1))
    assert found.values == 128
    assert found.breaks == 0
    pim = SIZES["flat"]
    formula = attention_cycles(replace(pim, timing=replace(pim.timing, refi=1 << 16)), [200])
    worked = found.cycles - found.commands["REF"] * pim.timing.rfc
    assert abs(worked / formula - 1) < 0.02    # ends of phases count


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.parametrize("options", [
    TierRtl(), TierRtl(staggered=True), TierRtl(tokens=4096, heads=2, wide=True),
    TierRtl(tokens=2048, heads=4)], ids=["lockstep", "staggered", "wide", "four"])
def test_a_head_of_8k_tokens(options):
    """End to end through controller, banks and rank: bits equal, clocks within 2 %."""
    found = attention(options)
    print(found)
    assert found.values == options.heads * 2 * 128
    assert found.breaks == 0
    assert abs(found.off) <= 0.02


@pytest.mark.parametrize("options, message", [
    (TierRtl(tokens=10_000), "--tokens must be at most 8192, the context of rank rank, not 10000"),
    (TierRtl(heads=3), "--heads must fit 64 rows of rank rank: 3 of 8192 tokens take 96"),
    (TierRtl(wide=True), ("--tokens must be at most 4129 with weights of 12 bits, so that sums "
                          "fit int32, not 8192")),
])
def test_heads_without_room_are_refused(options, message):
    with pytest.raises(OuroborosError, match=f"^{message}$"):
        attention(options)
