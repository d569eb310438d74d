"""A loader for simulators: a core's image out of a file instead of out of the network."""

from pathlib import Path

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ouroboros.hw.lib.bus import ConfigBus, config_data_bits
from ouroboros.hw.lib.library import Library, flat_ports
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import COORDINATE_BITS, ENTRY_BITS, UNIT_BITS

__all__ = ["CLOCKS", "PRELOAD", "Preload", "image_file", "preload_verilog", "record",
           "record_bytes"]

PRELOAD = "preload"
"""Name of the module: a core has one if the library holds its text."""
CLOCKS = ("clk", "rst", "awake_clk")
"""Its ports beside those of the signature."""
_BODY = Path(__file__).with_suffix(".sv")


class Preload(wiring.Component):
    """Stands in a core's configuration bus and writes an image over it, an entry a cycle.

    It begins as soon as it is out of reset, with the file ``image_file(x, y)`` in the folder that
    the simulator runs in. Without that file, and after its last entry, it passes on what comes by
    the network; before, nothing may come. It has a behavioural body only, ``preload_verilog``.

    Parameters
    ----------
    machine : Machine
        Sizes.

    Members
    -------
    i, o : In(ConfigBus), Out(ConfigBus)
        From the network, and to the core.
    x, y : In(COORDINATE_BITS)
        Coordinates, from 1.
    awake : Out(1)
        The core's clock must not stop.
    """

    def __init__(self, machine: Machine):
        super().__init__(self.signature_for(machine))

    @staticmethod
    def signature_for(machine: Machine) -> wiring.Signature:
        """Its ports."""
        return wiring.Signature({
            "i": In(ConfigBus(machine)), "o": Out(ConfigBus(machine)),
            "x": In(COORDINATE_BITS), "y": In(COORDINATE_BITS), "awake": Out(1)})

    @staticmethod
    def place(m, machine: Machine, library: Library) -> "Preload | None":
        """One in a core, if the library holds its text."""
        if not library.holds(PRELOAD):
            return None
        m.submodules.preload = made = library.instance(
            PRELOAD, lambda: Preload(machine), params=machine)
        return made


def image_file(x: int, y: int) -> str:
    """Name of the file of a core's image."""
    return f"core_{x}_{y}.image"


def record_bytes(machine: Machine) -> int:
    """Bytes of an entry in such a file."""
    return -(-(UNIT_BITS + ENTRY_BITS + config_data_bits(machine)) // 8)


def record(machine: Machine, unit: int, address: int, value: int) -> bytes:
    """An entry in such a file."""
    word = (unit << ENTRY_BITS | address) << config_data_bits(machine) | value
    return word.to_bytes(record_bytes(machine), "big")


def preload_verilog(machine: Machine) -> str:
    """SystemVerilog of the module, for ``Library.add_source``."""
    ports = [("input", clock, 1) for clock in CLOCKS]
    signature = Preload.signature_for(machine)
    ports += [("input" if flow is In else "output", port, len(value))
              for port, flow, value in flat_ports(signature.create())]
    header = ",\n".join(f"  {direction} wire [{bits - 1}:0] {port}"
                        for direction, port, bits in ports)
    sizes = "\n".join(f"localparam {key} = {value};" for key, value in {
        "BYTES": record_bytes(machine), "UNIT_BITS": UNIT_BITS, "ADDRESS_BITS": ENTRY_BITS,
        "DATA_BITS": config_data_bits(machine)}.items())
    return f"module {PRELOAD} (\n{header}\n);\n\n{sizes}\n\n{_BODY.read_text()}"
