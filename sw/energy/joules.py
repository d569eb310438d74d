"""Events times figures: joules by kind; leakage by time; what a power cap leaves."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.energy.events import Events
from ouroboros.sw.energy.technology import Technology
from ouroboros.sw.lib.quantities import at

__all__ = ["BITS", "Joules", "capped_rate", "joules", "leakage_w"]

BITS = 8
PICO = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Joules:
    """Energy by kind, in joules; leakage is apart, as it goes by time."""

    array: float = 0.0
    """Rows of macros read."""
    mac: float = 0.0
    """Products, adders, accumulators."""
    kv_write: float = 0.0
    """Rows of macros active for writes of K and V."""
    sfu: float = 0.0
    """Special-function units."""
    buffers: float = 0.0
    """Buffers of cores."""
    htree: float = 0.0
    """Partial sums within a core."""
    noc: float = 0.0
    """Routers and links."""
    die_links: float = 0.0
    """Borders between dies."""
    wafer_links: float = 0.0
    """Between wafers."""
    host: float = 0.0
    """From and to the host."""

    def __add__(self, other: "Joules") -> "Joules":
        return Joules(**{one.name: getattr(self, one.name) + getattr(other, one.name)
                         for one in fields(self)})

    def __mul__(self, times: float) -> "Joules":
        return Joules(**{one.name: getattr(self, one.name) * times for one in fields(self)})

    @property
    def total(self) -> float:
        """Of all kinds."""
        return float(sum(asdict(self).values()))

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "total": self.total}


def joules(events: Events, machine: Machine, technology: Technology, corner: str = "mid", *,
           bit_planes: bool = False) -> Joules:
    """Dynamic energy of events at a corner of the technology.

    Parameters
    ----------
    bit_planes : bool
        The array is read for every bit of an activation, instead of once and held.
    """
    def figure(name: str) -> float:
        return at(getattr(technology, name), corner) * PICO

    row, flit = machine.cim.outputs, machine.noc.flit_bits
    reads = events.array_group_cycles if bit_planes else events.array_reads
    sfu_bytes = at(technology.sfu_bytes, corner)
    return Joules(
        array=reads * machine.cim.active_rows * row * figure("array_read"),
        mac=events.macs * figure("mac"),
        # A byte of K is written with all columns of its row active.
        kv_write=(events.kv_bytes_written + events.kv_rows_written) * row * figure("array_write"),
        sfu=events.sfu_elements * figure("sfu"),
        buffers=(events.buffer_bytes + events.sfu_elements * sfu_bytes) * figure("buffer"),
        htree=events.partial_sums * 32 * at(technology.tree_mm, corner) * figure("wire"),
        noc=events.flit_hops * flit / BITS * figure("hop"),
        die_links=events.die_crossings * flit * figure("die_link"),
        wafer_links=events.wafer_crossings * flit * figure("wafer_link"),
        host=events.host_flits * flit * figure("host_link"))


def leakage_w(machine: Machine, core_area_mm2: float, technology: Technology,
              corner: str = "mid") -> float:
    """Power of a machine that does nothing, in watts: arrays and all else, by area.

    A corner with little leakage has the least of it; the split of the area is the middle one.
    """
    bits = machine.core.macros * machine.cim.rows * machine.cim.outputs * BITS
    array = min(bits / 1e6 / technology.array_density.mid, core_area_mm2)
    return machine.mesh.cores * (
        array * at(technology.array_leakage, corner)
        + (core_area_mm2 - array) * at(technology.logic_leakage, corner))


def capped_rate(rate: float, joules_each: float, leakage: float, watts: float) -> float:
    """Most per second within a power: what goes on without a cap, or what the cap leaves.

    0 where leakage alone takes the power.
    """
    return max(0.0, min(rate, (watts - leakage) / joules_each))
