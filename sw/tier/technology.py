"""DRAM whose banks compute: organisation, timing, currents; bandwidths and energies from these."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from ouroboros.hw.params.load import ConfigError, load
from ouroboros.hw.params.values import Value
from ouroboros.sw.lib.quantities import Quantities, quantity
from ouroboros.sw.tier.errors import TierError

__all__ = ["FOLDER", "Currents", "Technology", "load_technology", "technology_names"]

FOLDER = Path(__file__).parent / "technologies"
WHOLE = ("channels", "ranks", "chips", "banks", "bank_groups", "row_bytes", "beat_bytes")
LEAST = (("rc", "ras + rp"), ("ras", "rcd + rtp"), ("rrd_l", "rrd_s"), ("ccd_l", "ccd_s"),
         ("faw", "4 * rrd_s"), ("refi", "rfc"))
"""Timings that are at least a sum of others."""


@dataclass(frozen=True, kw_only=True)
class Technology(Quantities):
    """A pool of DRAM: every rank is a bus of chips, every chip has banks with a unit each.

    Raises
    ------
    ValueError
        If a count is no whole number, or a timing is shorter than those it contains.
    """

    WORDS: ClassVar[str] = "figure"

    channels: Value = quantity("1")
    """Of a pool."""
    ranks: Value = quantity("1")
    """On a channel."""
    chips: Value = quantity("1")
    """Of a rank."""
    banks: Value = quantity("1")
    """Of a chip."""
    bank_groups: Value = quantity("1")
    """Of a chip."""
    row_bytes: Value = quantity("B")
    """Of a bank."""
    beat_bytes: Value = quantity("B")
    """That a bank reads at a time."""
    pool_gib: Value = quantity("GiB")
    """Of all ranks together."""
    bus_gb_s: Value = quantity("GB/s")
    """Between the chips of a rank and its buffer."""
    clock_ns: Value = quantity("ns")
    """Unit of the timings."""
    rcd: Value = quantity("clk")
    """Activation to column."""
    rp: Value = quantity("clk")
    """Precharge to activation."""
    ras: Value = quantity("clk")
    """Activation to precharge."""
    rc: Value = quantity("clk")
    """Activation to activation of a bank."""
    rrd_s: Value = quantity("clk")
    """Activation to activation in another bank group."""
    rrd_l: Value = quantity("clk")
    """The same in the same one."""
    faw: Value = quantity("clk")
    """Window of four activations."""
    ccd_s: Value = quantity("clk")
    """Column to column of different bank groups."""
    ccd_l: Value = quantity("clk")
    """The same of one: what a bank reads its next beat after."""
    rtp: Value = quantity("clk")
    """Column to precharge."""
    rfc: Value = quantity("clk")
    """A refresh."""
    refi: Value = quantity("clk")
    """From a refresh to the next."""
    lockstep: Value = quantity("1")
    """Of the banks' bandwidth that is left when all banks of a rank do the same at once."""
    staggered: Value = quantity("1")
    """The same when every bank has a row of its own time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in WHOLE:
            if self.of(name) != int(self.of(name)):
                raise ValueError(f"{name} must be a whole number, not {self.of(name):g}")
        if self.of("banks") % self.of("bank_groups"):
            raise ValueError(f"banks must be a multiple of bank_groups "
                             f"({self.of('bank_groups'):g}), not {self.of('banks'):g}")
        if self.of("row_bytes") % self.of("beat_bytes"):
            raise ValueError(f"row_bytes must be a multiple of beat_bytes "
                             f"({self.of('beat_bytes'):g}), not {self.of('row_bytes'):g}")
        known = {one.name: self.of(one.name) for one in fields(self)}
        for name, parts in LEAST:
            least = math.prod(known.get(word, 0) or float(word) for word in parts.split(" * ")) \
                if "*" in parts else sum(known[word] for word in parts.split(" + "))
            if known[name] < least:
                raise ValueError(f"{name} must be at least {parts} = {least:g} clk, not "
                                 f"{known[name]:g}: lengthen it, or shorten {parts}")
        for name in ("lockstep", "staggered"):
            if self.of(name) > 1:
                raise ValueError(f"{name} must be at most 1, not {self.of(name):g}")

    def of(self, name: str) -> float:
        """A figure."""
        return float(getattr(self, name).mid)

    @property
    def pool_ranks(self) -> int:
        """Ranks of a pool."""
        return int(self.of("channels") * self.of("ranks"))

    @property
    def bank_bytes_per_s(self) -> float:
        """A bank's, without activations and refresh."""
        return self.of("beat_bytes") / (self.of("ccd_l") * self.of("clock_ns")) * 1e9

    @property
    def rank_bytes_per_s(self) -> float:
        """Of all banks of a rank, likewise."""
        return self.bank_bytes_per_s * self.of("banks") * self.of("chips")

    @property
    def pool_bytes_per_s(self) -> float:
        """Of all banks, likewise."""
        return self.rank_bytes_per_s * self.pool_ranks

    @property
    def pool_bytes(self) -> float:
        """Room."""
        return self.of("pool_gib") * 2**30


@dataclass(frozen=True, kw_only=True)
class Currents(Quantities):
    """What a chip draws (data sheet's names), and how much of a read stays within a bank."""

    WORDS: ClassVar[str] = "current"

    chip_gbit: Value = quantity("Gbit")
    """Of the chip that the currents are of."""
    vdd: Value = quantity("V")
    """Supply."""
    idd0: Value = quantity("mA")
    """Activations and precharges of one bank, one every rc."""
    idd2n: Value = quantity("mA")
    """All banks precharged."""
    idd3n: Value = quantity("mA")
    """Banks open."""
    idd4r: Value = quantity("mA")
    """Bursts read, one every ccd_s."""
    idd5: Value = quantity("mA")
    """Refresh, while it lasts."""
    burst_bytes: Value = quantity("B")
    """Of a chip, of such a burst."""
    within_bank: Value = quantity("1")
    """Of a read's charge that is spent before the data leaves the bank's columns."""

    def activation_pj_per_byte(self, of: Technology) -> float:
        """A row's activation and precharge, for each of its bytes."""
        ras, rc, ns = of.of("ras"), of.of("rc"), of.of("clock_ns")
        charge = (self.idd0.mid * rc - self.idd3n.mid * ras - self.idd2n.mid * (rc - ras)) * ns
        return charge * self.vdd.mid / of.of("row_bytes")

    def read_pj_per_byte(self, of: Technology, share: float | None = None) -> float:
        """A byte from a row that is open to the bank's unit; ``share`` in place of within_bank."""
        part = self.within_bank.mid if share is None else share
        charge = (self.idd4r.mid - self.idd3n.mid) * of.of("ccd_s") * of.of("clock_ns")
        return charge * self.vdd.mid / self.burst_bytes.mid * part

    def standby_w(self, of: Technology) -> float:
        """Of a pool: banks open, and refresh."""
        duty = of.of("rfc") / of.of("refi")
        chip = self.vdd.mid * (self.idd3n.mid + (self.idd5.mid - self.idd3n.mid) * duty) * 1e-3
        return chip * of.pool_ranks * of.of("chips")


def technology_names() -> tuple[str, ...]:
    """Those that are shipped."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")
                        if not path.stem.endswith("-currents")))


def load_technology(name_or_path: str) -> tuple[Technology, Currents | None]:
    """A shipped technology by name, or any by the path of its TOML file.

    Returns
    -------
    tuple
        The technology, and the currents that lie beside it as ``NAME-currents.toml``, if any.

    Raises
    ------
    TierError
        If there is none, or its file is wrong; the message names file, key and rule.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = FOLDER / f"{name_or_path}.toml"
        if not path.is_file():
            raise TierError(f"technology must be one of {', '.join(technology_names())} or the "
                            f"path of a .toml file, not {name_or_path!r}")
    beside = path.with_name(f"{path.stem}-currents.toml")
    try:
        return load(Technology, path), load(Currents, beside) if beside.is_file() else None
    except ConfigError as error:
        raise TierError(str(error)) from error
