"""Verilog of a module that only places others and connects them."""

from collections.abc import Mapping
from functools import cache

from amaranth import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ouroboros.hw.noc.link import Link
from ouroboros.hw.params.noc import NocParams

__all__ = ["LinkEnd", "Structure", "zeros"]


def zeros(width: int) -> str:
    """A constant 0."""
    return f"{width}'d0"


class Structure:
    """A module of instances, written line by line.

    Parameters
    ----------
    name : str
        Of the module.
    words : str
        What it is, for the comment above it.
    """

    def __init__(self, name: str, words: str):
        self.name, self._words = name, words
        self._ports: list[str] = []
        self._declared: list[str] = []
        self._placed: list[str] = []

    def port(self, name: str, flow: wiring.Flow, width: int = 1) -> str:
        """Add a port; its name."""
        self._ports.append(name)
        kind = "input" if flow is In else "output"
        self._declared.append(f"  {kind} {_range(width)}{name};")
        return name

    def wire(self, name: str, width: int = 1, value: str | None = None) -> str:
        """Add a net, perhaps with what drives it; its name."""
        self._declared.append(f"  wire {_range(width)}{name}{'' if value is None else ' = '}"
                              f"{value or ''};")
        return name

    def assign(self, name: str, value: str) -> None:
        """Drive a port."""
        self._placed.append(f"  assign {name} = {value};")

    def place(self, module: str, name: str, connected: Mapping[str, str]) -> None:
        """Add an instance; what is connected to each of its ports."""
        ports = ",\n".join(f"    .{port}({value})" for port, value in connected.items())
        self._placed.append(f"  {module} {name} (\n{ports}\n  );")

    def text(self) -> str:
        """The module."""
        return "\n".join([f"// {self._words}", f"module {self.name}({', '.join(self._ports)});",
                          *self._declared, *self._placed, "endmodule", ""])


class LinkEnd:
    """Nets of one direction of a link: ``valid`` and ``flit`` forwards, ``credit`` back.

    Parameters
    ----------
    nets : Mapping[str, str]
        Name or expression of each, by member; empty: not connected.
    """

    def __init__(self, nets: Mapping[str, str]):
        self.nets = dict(nets)

    @staticmethod
    def widths(noc: NocParams) -> dict[str, tuple[wiring.Flow, int]]:
        """Direction, seen from the sender, and bits of each member."""
        return _widths(noc)

    @classmethod
    def wires(cls, structure: Structure, noc: NocParams, prefix: str) -> "LinkEnd":
        """New nets."""
        return cls({member: structure.wire(f"{prefix}__{member}", width)
                    for member, (_, width) in cls.widths(noc).items()})

    @classmethod
    def ports(cls, structure: Structure, noc: NocParams, prefix: str, *,
              leaves: bool) -> "LinkEnd":
        """New ports of a link that leaves the module, or enters it."""
        found = {}
        for member, (flow, width) in cls.widths(noc).items():
            found[member] = structure.port(f"{prefix}__{member}",
                                           flow if leaves else flow.flip(), width)
        return cls(found)

    @classmethod
    def idle(cls, noc: NocParams, *, sender: bool) -> "LinkEnd":
        """What an end sees of a link that is not there: no flit, no credit."""
        return cls({member: zeros(width) if (flow is In) == sender else ""
                    for member, (flow, width) in cls.widths(noc).items()})

    def only(self, noc: NocParams, member: str, live: str) -> "LinkEnd":
        """The same, but ``member`` is 0 if whoever drives it is dead."""
        if not live:
            return self
        width = self.widths(noc)[member][1]
        mask = live if width == 1 else f"{{{width}{{{live}}}}}"
        return LinkEnd({**self.nets, member: f"{self.nets[member]} & {mask}"})

    def at(self, prefix: str) -> dict[str, str]:
        """Connections of an instance's ports that begin so."""
        return {f"{prefix}__{member}": net for member, net in self.nets.items()}


@cache
def _widths(noc: NocParams) -> dict[str, tuple[wiring.Flow, int]]:
    link = Link(noc)
    return {"__".join(map(str, path)): (member.flow, len(Value.cast(value)))
            for path, member, value in link.flatten(link.create())}


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
