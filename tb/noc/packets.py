"""Packets as benches see them: header fields, flits, and what a sink puts together again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ouroboros.hw.params.packet import CREDIT_HEADER, HEADER_BITS
from ouroboros.sw.program.packets import Flit

__all__ = ["Flit", "Sink", "flit_of", "flits_of", "header_of", "packet"]


def packet(vc: int, payload: Iterable[int] = (), **header: int) -> list[Flit]:
    """Flits of a packet; header fields (``CREDIT_HEADER``) that are not given are 0.

    ``length`` is the number of payload flits unless given; ``spare`` may carry a serial number.
    """
    payload = list(payload)
    fields = dict.fromkeys((f.name for f in CREDIT_HEADER.fields), 0)
    fields |= {"vc": vc, "length": len(payload)} | header
    return flits_of(vc, [CREDIT_HEADER.pack(fields), *payload])


def flits_of(vc: int, words: list[int]) -> list[Flit]:
    """Flits with the given data; the first is the head, the last the tail."""
    return [Flit(word, vc, n == 0, n == len(words) - 1) for n, word in enumerate(words)]


def flit_of(view: Any) -> Flit:
    """The flit that a port of ``hw.noc.link.flit_layout`` shows."""
    return Flit(view.data, view.vc, bool(view.head), bool(view.tail))


def header_of(flit: Flit) -> dict[str, int]:
    """Header fields of a head flit."""
    return CREDIT_HEADER.unpack(flit.data & (1 << HEADER_BITS) - 1)


@dataclass(slots=True)
class Sink:
    """Puts flits together to packets and refuses any that mix within a virtual channel."""

    open: dict[int, list[Flit]] = field(default_factory=dict)
    packets: list[list[Flit]] = field(default_factory=list)

    def take(self, flit: Flit) -> list[Flit] | None:
        """Add a flit; returns the packet that it completes."""
        flits = self.open.setdefault(flit.vc, [])
        assert flit.head == (not flits), f"packets of channel {flit.vc} mix at {flit}"
        flits.append(flit)
        if not flit.tail:
            return None
        done = self.open.pop(flit.vc)
        self.packets.append(done)
        return done
