"""Attention of whole heads on the RTL of a rank, beside golden model and formula."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ouroboros.hw.params.timing.pim import attention_cycles
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import option
from ouroboros.tb.flow.build import SIMULATORS, build, run
from ouroboros.tb.pim.rtl import RANK_TOP, emit_rank
from ouroboros.tb.pim.sizes import SIZES

__all__ = ["RankRun", "TierRtl", "as_json", "attention"]

NAMES = ("chips", "banks", "head_chips", "head_dim", "queries", "slots", "columns", "context")


@dataclass(frozen=True, kw_only=True)
class TierRtl:
    """Heads of one layer on a rank of memory with processing units."""

    rank: str = option("rank", choices=lambda: tuple(SIZES))
    """Size of the rank."""
    tokens: int = option(8192, metavar="N", least=1)
    """Tokens of a head."""
    heads: int = option(1, metavar="N", least=1)
    """Heads one after the other, in each slot."""
    staggered: bool = False
    """Banks work each at its own time, not in lockstep."""
    wide: bool = False
    """Weights of 12 bits, in two passes over V, not of 7 bits in one."""
    seed: int = option(1, metavar="N", least=0)
    """Of the random numbers in K, V and q."""
    on: str = option("verilator", choices=lambda: SIMULATORS)
    """Simulator."""


@dataclass(frozen=True, kw_only=True)
class RankRun:
    """What a run found; every value was equal to the golden model's, or there is none."""

    cycles: int
    """Clocks from the first query to the last word of context."""
    formula: float
    """What ``hw.params.timing.pim`` says of them."""
    store_cycles: int
    """Clocks in which the host wrote K and V before."""
    values: int
    """int8 of context that were compared, with as many int32 sums."""
    commands: dict[str, int]
    """Commands by name, without those before the first query."""
    breaks: int
    """Clocks in which the timing checker found a rule broken."""
    efficiency: float
    """Part of the clocks in which a bank multiplied, of what tCCD_L allows."""
    seconds: float
    """Of simulation, on the wall."""

    @property
    def off(self) -> float:
        """Cycles above the formula, as a part of it."""
        return self.cycles / self.formula - 1


def attention(options: TierRtl) -> RankRun:
    """Simulate; K and V go in by the host's port.

    Raises
    ------
    OuroborosError
        If the rank has no room for the heads.
    SimulationError
        If a value differs from the golden model, or a timing is broken.
    """
    pim = SIZES[options.rank]
    if options.tokens > pim.context:
        raise OuroborosError(f"--tokens must be at most {pim.context}, the context of rank "
                             f"{options.rank}, not {options.tokens}")
    rows = options.heads * (pim.key_rows(options.tokens) + pim.value_rows(options.tokens))
    if rows > pim.rows:
        raise OuroborosError(f"--heads must fit {pim.rows} rows of rank {options.rank}: "
                             f"{options.heads} of {options.tokens} tokens take {rows}")
    if options.wide and options.tokens * 127 * 4095 >= 1 << 31:
        raise OuroborosError(f"--tokens must be at most {(1 << 31) // (127 * 4095)} with weights "
                             f"of 12 bits, so that sums fit int32, not {options.tokens}")
    built = build(RANK_TOP, emit_rank(pim), sim=options.on)
    started = time.perf_counter()
    results = run(built, test_module="ouroboros.tb.pim.bench_attention", env={
        "SIZE": options.rank, "TOKENS": ",".join([str(options.tokens)] * options.heads),
        "STAGGERED": str(int(options.staggered)), "EXP_BITS": "12" if options.wide else "7",
        "SEED_OF_DATA": str(options.seed)})
    found: dict[str, Any] = json.loads(Path(results.directory / "attention.json").read_text())
    passes = 1 + options.wide
    macs = options.heads * (
        pim.score_units(options.tokens) * pim.score_unit_macs
        + passes * pim.value_units(options.tokens) * pim.value_unit_macs)
    return RankRun(
        **found, seconds=time.perf_counter() - started,
        formula=attention_cycles(pim, [options.tokens] * options.heads,
                                 staggered=options.staggered, passes=passes),
        efficiency=macs * pim.timing.ccd_l / found["cycles"])


def as_json(options: TierRtl, found: RankRun) -> dict[str, Any]:
    """For ``--json``: what was asked for, the rank, and what was found."""
    pim = SIZES[options.rank]
    return {"options": asdict(options), "rank": {name: getattr(pim, name) for name in NAMES},
            "found": {**asdict(found), "off": found.off}}
