"""The wires of a mesh link, by name, and the pins that a core or die has for them.

The order of pins along a border makes neighbours abut: pin n of ``e_o`` meets pin n of the next
core's ``w_i``, pin n of ``e_i`` meets ``w_o``; north and south alike.
"""

from dataclasses import dataclass

from ouroboros.hw.params.noc import NocParams

__all__ = ["OPPOSITE", "SIDES", "Pin", "Wire", "side_pins", "wires"]

SIDES = ("n", "e", "s", "w")
OPPOSITE = {"n": "s", "e": "w", "s": "n", "w": "e"}


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire of a link."""

    name: str
    """For example ``data[3]``."""
    forward: bool
    """From the sender of flits to the receiver; credits go back."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One pin at a border."""

    name: str
    """Side, ``o`` (flits leave) or ``i`` (flits come in), wire: for example ``e_o_data[3]``."""
    output: bool
    """Driven by the owner of the pin."""
    slot: int
    """Place along the border, from its west or south end, in pin pitches."""


def wires(noc: NocParams) -> tuple[Wire, ...]:
    """Wires of one direction of a link: ``hw.noc.link.Link``, which a test compares."""
    vc_bits = (noc.channels - 1).bit_length()
    forward = ("valid", *(f"data[{n}]" for n in range(noc.flit_bits)),
               *(f"vc[{n}]" for n in range(vc_bits)), "head", "tail")
    return (*(Wire(name, True) for name in forward),
            *(Wire(f"credit[{n}]", False) for n in range(noc.channels)))


def side_pins(noc: NocParams, side: str) -> tuple[Pin, ...]:
    """Pins of one side, both directions."""
    names = wires(noc)
    # What leaves to the north or east lies first; so does what comes in from south or west.
    first = "o" if side in "ne" else "i"
    pins = []
    for half, way in enumerate((first, "i" if first == "o" else "o")):
        pins += [Pin(f"{side}_{way}_{wire.name}", (way == "o") == wire.forward,
                     half * len(names) + n) for n, wire in enumerate(names)]
    return tuple(pins)
