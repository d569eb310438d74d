"""Constants of GPUs, links and published systems, every one with its source."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from ouroboros.hw.params.load import load
from ouroboros.hw.params.values import Value
from ouroboros.sw.lib.quantities import Quantities, quantity

__all__ = ["Constants", "constants"]


@dataclass(frozen=True, kw_only=True)
class Constants(Quantities):
    """Those that no bar of the publication was used for, but ``pcie_gb_s``."""

    WORDS: ClassVar[str] = "constant"

    gpus: Value = quantity("1")
    """In the system."""
    gpu_gib: Value = quantity("GiB")
    """Memory of one."""
    peak_tflops: Value = quantity("TFLOPS")
    """Of one."""
    bandwidth_gb_s: Value = quantity("GB/s")
    """Of the memory of one."""
    flops_share: Value = quantity("1")
    """Of the peak that products get."""
    bandwidth_share: Value = quantity("1")
    """Of the bandwidth that anything gets."""
    processors: Value = quantity("1")
    """Of one; a product's blocks run on them in waves."""
    tile_kib: Value = quantity("KiB")
    """Memory of a processor that a block's tiles fit in."""
    reference_gb_s: Value = quantity("GB/s")
    """Bandwidth at which activation and norm were measured."""
    activation_us: Value = quantity("us")
    """Least time of an activation."""
    activation_us_b: Value = quantity("us/B")
    """And for each byte."""
    norm_us: Value = quantity("us")
    """Least time of a norm."""
    norm_us_b: Value = quantity("us/B")
    """And for each byte."""
    exchange_us: Value = quantity("us")
    """Least time of a step of a sum over GPUs."""
    exchange_ns_b: Value = quantity("ns/B")
    """And for each byte."""
    nvlink_gb_s: Value = quantity("GB/s")
    """Between GPUs, each way."""
    pcie_gb_s: Value = quantity("GB/s")
    """From a GPU to the tier, one way."""
    element_bytes: Value = quantity("B")
    """Of weights, activations, K and V."""
    page_tokens: Value = quantity("tokens")
    """Of a page of K and V."""
    headroom: Value = quantity("1", zero=True)
    """Of all pages, kept free when a sequence is admitted."""
    prompt_tokens: Value = quantity("tokens")
    """Of prompts in one step at most."""
    cpu_gb_s: Value = quantity("GB/s")
    """Of all DIMMs to the host."""
    rank_pim_gb_s: Value = quantity("GB/s")
    """Of all ranks' buses."""
    hbm_pim_gb_s: Value = quantity("GB/s")
    """Of all banks of HBM-PIM."""
    hbm_ext_gb_s: Value = quantity("GB/s")
    """Of those of HBM-PIM-EXT."""
    hbm_ext_gib: Value = quantity("GiB")
    """Room of HBM-PIM-EXT."""
    hbm_pj_b: Value = quantity("pJ/B")
    """From HBM to the GPU."""
    l2_pj_b: Value = quantity("pJ/B")
    """The GPU's shared cache."""
    l1_pj_b: Value = quantity("pJ/B")
    """A processor's."""
    register_pj_b: Value = quantity("pJ/B")
    """Its registers."""
    product_pj: Value = quantity("pJ")
    """A multiplication and addition."""
    register_tile: Value = quantity("1")
    """Side of a tile in registers."""
    nvlink_pj_b: Value = quantity("pJ/B")
    """Between GPUs."""
    pcie_pj_b: Value = quantity("pJ/B")
    """Between GPU and tier."""
    bus_pj_b: Value = quantity("pJ/B")
    """Between a rank's chips and its buffer."""
    hbm_bank_pj_b: Value = quantity("pJ/B")
    """From a bank of HBM to a unit beside it."""

    def of(self, name: str) -> float:
        """A constant."""
        return float(getattr(self, name).mid)


@cache
def constants() -> Constants:
    """The shipped ones."""
    return load(Constants, Path(__file__).with_suffix(".toml"))
