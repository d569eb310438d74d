"""Pools at the wafer's edge in a run: where K and V are over time, and a pool that disappears."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ouroboros.hw.params.position import Position
from ouroboros.sw.golden.pool_end import PoolEnd
from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.program.packets import Packet
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.device import Device
from ouroboros.sw.runtime.engine import Engine, Request
from ouroboros.sw.runtime.link import Link

if TYPE_CHECKING:       # a job says what becomes of pools, and is what they are checked against
    from ouroboros.sw.runtime.job import Job

__all__ = ["LosingLink", "PoolError", "PoolLoss", "PoolLost", "Whereabouts", "check_pools",
           "kept_where", "serve_losing"]


class PoolError(OuroborosError):
    """A run with pools that cannot be."""


class PoolLost(Exception):
    """The link to the pools is down: for the run to go on without, never for the user."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where K and V were from a time on, in tokens of one KV group."""

    time: int
    """In cycles from the end of loading; without a clock in tokens that have gone in."""
    wafer: tuple[int, ...]
    """By request; those under way are not counted."""
    pool: tuple[int, ...]
    """By request, as the pools have them: with those under way."""


@dataclass(kw_only=True, slots=True)
class PoolLoss:
    """A loss, and how the run went on."""

    time: int
    """When the host heard of it."""
    recomputed: int
    """Tokens that went in again, on the wafer alone."""
    finished: int
    """Requests that had ended before."""
    refused: str | None = None
    """Why the others could not go on, if they could not."""


class LosingLink:
    """See ``sw.runtime.link.Link``; one from which the pools disappear at some time.

    The far end of a link that goes down is noticed by its port, so the host hears of it at once.

    Parameters
    ----------
    link : Link
        To the machine.
    at : int
        When, in the unit of ``now``.
    now : callable
        What time it is.
    cut : callable
        Called once: the pools take nothing any more.
    """

    def __init__(self, link: Link, at: int, now: Callable[[], int], cut: Callable[[], None]):
        self.link, self.now, self.cut = link, now, cut
        self.at: int | None = at

    async def send(self, packets: list[Packet]) -> None:
        """See ``Link``."""
        await self.link.send(packets)

    async def recv(self) -> Packet:
        """See ``Link``.

        Raises
        ------
        PoolLost
            If it is time.
        """
        if self.at is None:
            return await self.link.recv()
        if (left := self.at - self.now()) > 0:
            if self.link.cycles is None:
                return await self.link.recv()
            until = getattr(self.link, "recv_until")     # noqa: B009 - only links with a clock
            packet: Packet | None = await until(self.link.cycles + left)
            if packet is not None:
                return packet
        self.at = None
        self.cut()
        raise PoolLost

    async def wait(self, cycles: int) -> None:
        """See ``Link``."""
        await self.link.wait(cycles)

    async def reset(self) -> None:
        """Reset the machine; packets on their way are gone."""
        await getattr(self.link, "reset")()     # noqa: B009 - machines that can

    @property
    def cycles(self) -> int | None:
        """See ``Link``."""
        return self.link.cycles


def check_pools(job: "Job", pools: Mapping[Position, PoolEnd]) -> None:
    """Refuse a job whose pools are not there, or that cannot be run with pools.

    Raises
    ------
    PoolError
        Says which.
    """
    ports = {stage.info.core for stage in job.program.pools}
    if ports != set(pools):
        raise PoolError(f"pools of the program, at {sorted(ports)}, must be those of the machine, "
                        f"at {sorted(pools)}")
    if job.pool_lost is not None and (not ports or not job.measured or job.faults
                                      or job.door is not None):
        raise PoolError("pools must be there, and the run measured and without other faults or a "
                        "server, for pools to be lost")
    if ports and (job.faults or job.branches or job.tap):
        raise PoolError("pools must be at a machine without faults and taps: packets to an edge "
                        "port go XY only, and only cores' packets are kept")


async def serve_losing(engine: Engine, now: Callable[[], int], at: int, without: Program | None,
                       requests: list[Request],
                       pools: Mapping[Position, PoolEnd]) -> PoolLoss | None:
    """Serve requests that have been submitted, and go on without the pools once they are lost.

    Parameters
    ----------
    now : callable
        What time it is.
    at : int
        When the pools are lost.
    without : Program
        What goes on then; None: requests that have not ended are ``refused``.
    """
    def cut() -> None:
        for end in pools.values():
            end.lost = True

    link = LosingLink(engine.link, at, now, cut)
    engine.link = link
    try:
        await engine.run()
        return None
    except PoolLost:
        loss = PoolLoss(time=now(), recomputed=0,
                        finished=sum(request.finished is not None for request in requests))
    await link.reset()
    if without is None:
        loss.refused = "the model has no room for K and V without its pools"
        for request in requests:
            request.finished = request.finished or "refused"
        return loss
    device = Device(link, without)
    if link.cycles is None:
        await link.send(device.load_packets())
    else:
        await device.load()
    loss.recomputed = engine.restart(without, lambda sequence: 0)
    await engine.run()
    return loss


def kept_where(engine: Engine, requests: list[Request], ends: Mapping[Position, PoolEnd],
               time: int) -> Whereabouts:
    """Where the K and V of every request are now.

    Of a group the wafer has what the host knows to be kept and no pool has; pools are asked.
    """
    wafer, pool = [0] * len(requests), [0] * len(requests)
    for one in engine.scheduler.active:
        n = requests.index(one.request)
        pool[n] = max((end.tokens(one.id) for end in ends.values()), default=0)
        book = engine.scheduler.book
        there = _share(book.block_tokens, book.members, one.id * book.ring, one.kept)
        wafer[n] = one.kept - (there if engine.program.pools else 0)
    return Whereabouts(time, tuple(wafer), tuple(pool))


def _share(size: int, members: int, turned: int, tokens: int) -> int:
    """Tokens of a sequence that its last member keeps, the pool."""
    mine = (members - 1 - turned) % members
    rounds, rest = divmod(tokens, size * members)
    return rounds * size + min(max(rest - mine * size, 0), size)
