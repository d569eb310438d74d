"""What a core's egress does in every cycle, from its contract and the packet formats."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import CONFIG_HEADER, CREDIT_HEADER, Kind
from ouroboros.sw.program.packets import Flit

__all__ = ["EgressGolden", "Given"]

Fields = Mapping[str, int]


@dataclass(kw_only=True, slots=True)
class Given:
    """What an egress is given in one cycle."""

    packet: Flit | None = None
    """Flit of a data packet."""
    credit: Fields | None = None
    """A credit to send."""
    request: Fields | None = None
    """A READ."""
    value: int = 0
    """What the event memory has on its port, 128 bits."""
    back: frozenset[int] = frozenset()
    """Channels that get a link credit back."""


@dataclass(slots=True)
class EgressGolden:
    """State of an egress between two cycles.

    Parameters
    ----------
    machine : Machine
        Network parameters.
    place : tuple of int
        Coordinates of the core.
    """

    machine: Machine
    place: tuple[int, int]
    link: Flit | None = None
    """On the link in this cycle."""
    credits: list[int] = field(init=False)
    """Of each channel."""
    _waiting: Flit | None = None
    """Of the control side, not sent yet."""
    _asked: dict[str, int] = field(default_factory=lambda: {"count": 0})
    _answering: bool = False
    """The header of a reply is out, its value is next."""
    _fetched: bool = False
    _control_was_last: bool = False
    _inside: dict[str, int | None] = field(
        default_factory=lambda: {"data": None, "control": None})
    """Channel on which either side is inside a packet."""

    def __post_init__(self) -> None:
        self.credits = [self.machine.noc.vc_depth] * self.machine.noc.channels

    @property
    def busy(self) -> bool:
        """Replies are to come."""
        return self._asked["count"] > 0

    def sends(self, given: Given) -> str:
        """The side that sends in this cycle: data, control, or none of them ("")."""
        can = []
        for side, other, flit in (("data", "control", given.packet),
                                  ("control", "data", self._waiting)):
            if flit is not None and self.credits[flit.vc] and self._inside[other] != flit.vc:
                can.append(side)
        if len(can) == 2:
            return "data" if self._control_was_last else "control"
        return can[0] if can else ""

    def outputs(self, given: Given) -> dict[str, object]:
        """Outputs of this cycle by name; None where they say nothing."""
        fetches = self.busy and not self._fetched
        return {
            "link__valid": self.link is not None,
            "flits": self.link is not None,
            "busy": self.busy,
            "packet__ready": self.sends(given) == "data",
            "credit__ready": self._free(given) and not self._answering,
            "events__en": fetches,
            "events__unit": self._asked["unit"] if fetches else None,
            "events__address": self._asked["address"] if fetches else None,
            "active": bool(given.packet or given.credit or self._waiting or self.busy
                           or self.link),
        }

    def clock(self, given: Given) -> None:
        """Go on to the next cycle."""
        side, free, busy = self.sends(given), self._free(given), self.busy
        flit = {"data": given.packet, "control": self._waiting, "": None}[side]
        for vc in given.back:
            self.credits[vc] += 1
        if flit is not None:
            self.credits[flit.vc] -= 1
            self._inside[side] = None if flit.tail else flit.vc
            self._control_was_last = side == "control"
        self.link = flit
        could = self._fetched
        if busy:
            self._fetched = True
        if free:
            self._waiting = self._next(given, could)
        if given.request is not None and not busy:
            self._asked = dict(given.request)

    def _free(self, given: Given) -> bool:
        return self._waiting is None or self.sends(given) == "control"

    def _next(self, given: Given, fetched: bool) -> Flit | None:
        """The next flit of the control side."""
        asked = self._asked
        if self._answering:
            vc, self._answering, self._fetched = self._channel(asked), False, False
            asked["count"] -= 1
            asked["address"] += 1
            return Flit(given.value, vc, False, True)
        if given.credit is not None:
            header = self._header(given.credit, Kind.CREDIT)
            header["counter"] = given.credit["counter"]
            return Flit(CREDIT_HEADER.pack(header), header["vc"], True, True)
        if fetched:
            header = self._header(asked, Kind.REPLY)
            header |= {"length": 1, "unit": asked["unit"], "address": asked["address"]}
            self._answering = True
            return Flit(CONFIG_HEADER.pack(header), header["vc"], True, False)
        return None

    def _channel(self, to: Fields) -> int:
        noc = self.machine.noc
        return noc.transit_vc if noc.class2_vcs and to["table"] else noc.control_vc

    def _header(self, to: Fields, kind: Kind) -> dict[str, int]:
        names = CREDIT_HEADER if kind == Kind.CREDIT else CONFIG_HEADER
        return dict.fromkeys((one.name for one in names.fields), 0) | {
            "dst_x": to["x"], "dst_y": to["y"], "src_x": self.place[0], "src_y": self.place[1],
            "kind": kind, "vc": self._channel(to), "way_x": to["way_x"], "way_y": to["way_y"],
            "ordered": 1}
