"""Configuration entries out of the payload of WRITE packets."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.bus import ConfigBus
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.packet import Unit
from ouroboros.hw.params.widths import ENTRY_BITS, UNIT_BITS

__all__ = ["EntryWriter", "entry_flits"]


def entry_flits(machine: Machine) -> dict[Unit, int]:
    """Flits of a configuration entry of the units whose entries may be wider than one.

    Raises
    ------
    ValueError
        If an entry does not fit the longest packet.
    """
    flits = {unit: -(-bits // machine.noc.flit_bits) for unit, bits in (
        (Unit.WEIGHT, 8 * machine.cim.outputs), (Unit.PARAM, 16 * machine.core.lanes))}
    for unit, count in flits.items():
        if count > PAYLOAD_FLITS_MAX:
            raise ValueError(f"entry of {unit.name} must be at most {PAYLOAD_FLITS_MAX} flits, "
                             f"not {count!r}")
    return flits


class EntryWriter(wiring.Component):
    """Assembles the flits of a WRITE packet into entries on the configuration bus.

    An entry of ``WEIGHT + m`` takes as many flits as a row of ``outputs`` bytes needs, one of
    PARAM as many as ``lanes`` x 16 bits need, any other takes one; low end first. Addresses count
    up. Bits of ``config.data`` above the entry are undefined, and so is all of it without
    ``valid``.

    Parameters
    ----------
    machine : Machine
        Entry and flit sizes.

    Members
    -------
    open : In(1)
        A packet begins, with its ``unit`` and ``address``.
    push : In(1)
        ``flit`` is its next payload.
    whole : Out(1)
        The flit pushed in this cycle completes an entry.
    config : Out(ConfigBus(machine))
        Entries, in the cycle after their last flit.

    Raises
    ------
    ValueError
        If an entry does not fit the longest packet.
    """

    def __init__(self, machine: Machine):
        self.flit_bits = machine.noc.flit_bits
        self.flits = entry_flits(machine)
        super().__init__({
            "open":    In(1),
            "unit":    In(UNIT_BITS),
            "address": In(ENTRY_BITS),
            "push":    In(1),
            "flit":    In(self.flit_bits),
            "whole":   Out(1),
            "config":  Out(ConfigBus(machine)),
        })

    def elaborate(self, platform):
        m = Module()

        part = Signal(range(PAYLOAD_FLITS_MAX))
        last = Signal.like(part)        # index of an entry's last flit
        address = Signal.like(self.address)

        m.d.comb += self.whole.eq(part == last)
        m.d.sync += self.config.valid.eq(0)
        with m.If(self.open):
            m.d.sync += [
                self.config.unit.eq(self.unit),
                address.eq(self.address),
                part.eq(0),
                last.eq(0),
            ]
            with m.If(self.unit >= Unit.WEIGHT):
                m.d.sync += last.eq(self.flits[Unit.WEIGHT] - 1)
            with m.Elif(self.unit == Unit.PARAM):
                m.d.sync += last.eq(self.flits[Unit.PARAM] - 1)
        with m.If(self.push):
            for n in range(max(self.flits.values())):
                with m.If(part == n):
                    piece = self.config.data[n * self.flit_bits:(n + 1) * self.flit_bits]
                    m.d.sync += piece.eq(self.flit)
            m.d.sync += part.eq(part + 1)
            with m.If(self.whole):
                m.d.sync += [
                    self.config.valid.eq(1),
                    self.config.address.eq(address),
                    address.eq(address + 1),
                    part.eq(0),
                ]

        return m
