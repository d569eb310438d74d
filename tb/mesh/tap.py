"""What is added to an emitted machine to look into it: taps of what cores send."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from ouroboros.hw.noc.link import flit_layout
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Kind
from ouroboros.sw.program.packets import Flit, packets_of
from ouroboros.sw.runtime.difference import Sent
from ouroboros.tb.lib.link import PERIOD_NS

__all__ = ["inside", "read_taps", "tapped"]

TAP = Path(__file__).with_name("tap.sv")


def tapped(sources: Mapping[str, str], machine: Machine) -> dict[str, str]:
    """The modules of a machine with a tap in every core.

    The machine itself is not changed: this one is built only to be looked into.
    """
    instance = (f"  tap #(.WIDTH({flit_layout(machine.noc).size})) tap(.clk(clk), .x(x), .y(y), "
                f".valid(link_out__valid), .flit(link_out__flit));\n")
    return {**sources, "core": inside("core", sources["core"], instance), "tap": TAP.read_text()}


def inside(module: str, text: str, more: str) -> str:
    """The text with more at the end of a module."""
    text, count = re.subn(rf"(\bmodule {module}\s*\(.*?)(^endmodule)",
                          lambda found: found[1] + more + found[2], text,
                          flags=re.DOTALL | re.MULTILINE)
    if count != 1:
        raise ValueError(f"text must have one module {module}, not {count}")
    return text


def read_taps(directory: Path, machine: Machine) -> list[Sent]:
    """Data packets that cores sent in a simulation that ran in ``directory``; the files go."""
    sent: list[Sent] = []
    for path in sorted(directory.glob("tap_*_*.txt")):
        sent += _packets(path.read_text(), machine)
        path.unlink()
    return sent


def _packets(text: str, machine: Machine) -> list[Sent]:
    layout = flit_layout(machine.noc)
    fields = {name: (field.offset, (1 << field.width) - 1) for name, field in layout}
    open_: dict[int, list[tuple[int, Flit]]] = defaultdict(list)
    sent = []
    for line in text.splitlines():
        time, word = line.split()
        bits = int(word, 16)
        data, vc, head, tail = (bits >> fields[name][0] & fields[name][1]
                                for name in ("data", "vc", "head", "tail"))
        open_[vc].append((int(time) // PERIOD_NS, Flit(data, vc, bool(head), bool(tail))))
        if tail:
            cycles, flits = zip(*open_.pop(vc), strict=True)
            [packet] = packets_of(flits)
            if packet.header["kind"] == Kind.DATA:
                sent.append(Sent(packet, cycles=cycles))
    return sent
