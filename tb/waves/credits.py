"""Accounts of link credits: for every flit that leaves a router's buffer one must go back."""

from dataclasses import dataclass

from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.position import Position
from ouroboros.tb.waves.wave_file import WaveFile

__all__ = ["Account", "account", "accounts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One virtual channel of one input of a router."""

    core: Position
    """Whose router."""
    port: Port
    """The input."""
    vc: int
    """The channel."""
    came: int
    """Flits that came over the link."""
    freed: int
    """Flits that left the buffer."""
    back: int
    """Credits that went back."""
    lost: tuple[int, ...]
    """Cycles in which a flit left and no credit followed in the next."""
    sender: int | None
    """Credits that the other end of the link has at the end; None if it was not recorded."""


def accounts(wave: WaveFile, core: Position, first: int,
             last: int) -> list[Account]:
    """All channels of a core's router over which flits came or credits went."""
    found = [account(wave, core, port, vc, first, last)
             for port in Port for vc in range(wave.machine.noc.channels)]
    return [one for one in found if one.came or one.freed or one.back]


def account(wave: WaveFile, core: Position, port: Port, vc: int, first: int,
            last: int) -> Account:
    """One channel; a credit goes back one cycle after its flit has left."""
    base = f"router.inputs__{int(port)}"
    valid, flit = wave.signal(core, f"{base}__valid"), wave.signal(core, f"{base}__flit$vc")
    credit = wave.signal(core, f"{base}__credit")
    freed = wave.signal(core, f"router.input_{port.name.lower()}.channel{vc}.freed")
    left = [cycle for cycle in range(first, last + 1) if freed.at(cycle)]
    back = [cycle for cycle in range(first, last + 1) if (credit.at(cycle) or 0) >> vc & 1]
    came = sum(1 for cycle in range(first, last + 1)
               if valid.at(cycle) and flit.at(cycle) == vc)
    returned = set(back)
    return Account(core=core, port=port, vc=vc, came=came, freed=len(left), back=len(back),
                   lost=tuple(cycle for cycle in left
                              if cycle < last and cycle + 1 not in returned),
                   sender=_sender(wave, core, port, vc, last))


def _sender(wave: WaveFile, core: Position, port: Port, vc: int, cycle: int) -> int | None:
    if port is Port.LOCAL:
        return wave.signal(core, f"core.egress.end_.credits.counts__{vc}").at(cycle)
    beyond = port.beyond(core)
    if beyond not in wave.cores:
        return None
    side = port.opposite.name.lower()
    return wave.signal(beyond, f"router.output_{side}.credits.counts__{vc}").at(cycle)
