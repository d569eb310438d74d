"""Parameters of the mesh network."""

from dataclasses import dataclass

from hw.params.check import at_least, between

PAYLOAD_FLITS_MAX = 8
"""Payload flits of the longest packet; one header flit comes before them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NocParams:
    """Parameters of ``hw.noc.router.Router``; paper scale is 256-bit flits.

    Raises
    ------
    ValueError
        If any value is out of the range stated beside it.
    """

    flit_bits: int = 128
    """Payload width of a flit in bits; a multiple of 128, so that a header is one flit."""
    vcs: int = 2
    """Virtual channels: 0 data, the last credits, configuration and replies; 2 to 8."""
    vc_depth: int = 10
    """Flits of one virtual-channel buffer; at least 9, so that it holds a whole packet."""
    labels: int = 32
    """Entries of a router's multicast label table; label 0 means unicast; 2 to 128."""

    def __post_init__(self) -> None:
        at_least("flit_bits", self.flit_bits, 128)
        if self.flit_bits % 128:
            raise ValueError(f"flit_bits must be a multiple of 128, not {self.flit_bits!r}")
        between("vcs", self.vcs, 2, 8)
        at_least("vc_depth", self.vc_depth, PAYLOAD_FLITS_MAX + 1)
        between("labels", self.labels, 2, 128)
