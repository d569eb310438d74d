"""The link between two routers, or between a router and its core."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ouroboros.hw.params.noc import NocParams

__all__ = ["Link", "flit_layout"]


def flit_layout(params: NocParams) -> data.StructLayout:
    """One flit; ``head`` marks the header, ``tail`` the last flit (both on a packet of one)."""
    return data.StructLayout({
        "data": params.flit_bits,
        "vc":   ceil_log2(params.channels),
        "head": 1,
        "tail": 1,
    })


class Link(wiring.Signature):
    """Link seen from the sender.

    A flit moves in every cycle with ``valid``. The sender starts with ``vc_depth`` credits for each
    virtual channel, spends one per flit and gets one back for each cycle that a bit of ``credit``
    is set. Both directions are registered at the sender. ``parity``, if there is one, is that of
    the flit; only tiles look at it (``hw.mesh.fault_gate``).
    """

    def __init__(self, params: NocParams):
        super().__init__({
            "valid":  Out(1),
            "flit":   Out(flit_layout(params)),
            "credit": In(params.channels),
            **({"parity": Out(1)} if params.parity else {}),
        })
