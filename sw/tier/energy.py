"""Joules of a run: dense layers, attention, standby of the memories, what passes links.

Counted events times sourced figures: on the GPUs the accesses of AttAcc's simulator (memory,
caches, registers, products), in DRAM its currents.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.organisation import largest
from ouroboros.sw.tier.serve import Run
from ouroboros.sw.tier.technology import Currents, Technology, load_technology

__all__ = ["Joules", "joules", "need_currents"]


@dataclass(frozen=True, kw_only=True)
class Joules:
    """Of a generated token."""

    dense: float
    """Dense layers of tokens and prompts."""
    attention: float
    """K and V read, products, partial sums."""
    standby: float
    """DRAM that is on, refresh included."""
    link: float
    """Between GPUs and tier."""

    @property
    def total(self) -> float:
        """All of it."""
        return sum(float(getattr(self, one.name)) for one in fields(self))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"total": self.total}


def need_currents(currents: Currents | None) -> Currents:
    """Refuse a technology without currents."""
    if currents is None:
        raise TierError("technology must have currents for energy (a file NAME-currents.toml "
                        "beside its own), not none: take ddr4-3200, or add them")
    return currents


def joules(run: Run, technology: Technology, currents: Currents | None,
           within_bank: float | None = None) -> Joules:
    """Of a run.

    Parameters
    ----------
    within_bank : float, optional
        Of a read's charge that is spent before data leaves the bank; by default as sourced.

    Raises
    ------
    TierError
        If the technology has no currents.
    """
    currents = need_currents(currents)
    c, s, n = run.system.dense.constants, run.system.dense.shape, run.counts
    system, size, pico = run.system, run.system.dense.constants.of("element_bytes"), 1e-12
    tokens = n["tokens"]
    weights = run.system.dense.block_bytes
    rows = (tokens + n["prompts"]) / n["passes"]        # of a product, mean
    # Memory and shared cache see weights once a pass, a processor's cache once a tile of rows.
    seen = n["passes"] * weights
    local = seen * math.ceil(rows / c.of("register_tile"))
    local += (tokens + n["prompts"]) * weights / c.of("register_tile")
    products = (tokens + n["prompts"]) * weights / size
    dense = (seen * (c.of("hbm_pj_b") + c.of("l2_pj_b")) + local * c.of("l1_pj_b")
             + products * _product_pj(run))
    if system.dense.gpus > 1:
        sums = 2 * s.n_layers * s.dim * size * system.dense.gpus
        dense += (tokens + n["prompts"]) * sums * c.of("nvlink_pj_b")
    kv = system.kv_token_bytes * s.n_layers
    read, group = n["read_steps"] * kv, s.n_heads // s.n_kv_heads
    attention = read / size * group * c.of("product_pj")
    link = 0.0
    if system.link_bytes_per_s:
        each = c.of("nvlink_pj_b" if system.name == "hbm-pim-ext" else "pcie_pj_b")
        link = (tokens * system.token_link_bytes * s.n_layers + n["prompts"] * kv) * each
    opened = currents.activation_pj_per_byte(technology)
    pins = currents.read_pj_per_byte(technology, 1.0)
    if system.name == "gpu":
        each = c.of("hbm_pj_b") + c.of("l2_pj_b") + c.of("l1_pj_b") + 3 * c.of("register_pj_b")
        attention += read * each
    elif system.name.startswith("hbm"):
        attention += read * c.of("hbm_bank_pj_b")
    elif system.name == "cpu":
        attention += read * c.of("bus_pj_b")
    elif system.name == "rank-pim":
        attention += read * (opened + pins)
    else:
        own = largest(technology, s, technology.of("lockstep"))
        sent = own.score_bytes + own.weight_bytes
        sums = sent * own.group * own.chips_of_a_head * s.n_kv_heads * s.n_layers
        attention += (read * (opened + currents.read_pj_per_byte(technology, within_bank))
                      + n["read_steps"] * sums * pins)
    watts = _hbm_w() / system.replicas
    if system.name in ("cpu", "rank-pim", "tier"):
        watts += currents.standby_w(technology) / system.replicas
    return Joules(dense=dense * pico / tokens, attention=attention * pico / tokens,
                  standby=watts * n["seconds"] / tokens, link=link * pico / tokens)


def _product_pj(run: Run) -> float:
    """A product on the GPU: two operands and a sum from registers."""
    c = run.system.dense.constants
    return 3 * c.of("element_bytes") * c.of("register_pj_b") + c.of("product_pj")


def _hbm_w() -> float:
    """Standby of the GPUs' own memory."""
    technology, currents = load_technology("hbm2")
    assert currents is not None, "hbm2-currents.toml is shipped"
    return currents.standby_w(technology)
