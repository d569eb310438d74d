"""What each unit of each core is busy with for one token, and which unit binds.

A core's **stage time** is the largest occupancy of any of its units, summed over the stages that it
hosts: consecutive tokens overlap unit by unit and never closer than that. A stage has few slots, so
it also takes at least (time from a token's credit to that credit's return) / slots; and no link
of the mesh carries more than one flit a cycle. How tokens of several instructions on two units get
in each other's way beyond that is not in it: ``ouroboros overlap`` measures what that costs.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.control import ACCEPT_CYCLES
from ouroboros.sw.perf.copies import border_cycles
from ouroboros.sw.perf.cycles import Holds, holds
from ouroboros.sw.perf.walk import Walk, credit_delay, head_dim, injected_flits, walk
from ouroboros.sw.program.image import Link, Stage, Token, packet_flits, unicast
from ouroboros.sw.program.program import Program

__all__ = ["CoreTime", "MachineTime", "StageTime", "machine_time"]


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage of one core, per token; all in cycles or, what is the same on a link, flits."""

    stage: Stage
    """The stage."""
    holds: Holds
    """Units."""
    flits_in: int
    """Through the core's port, headers and credits included."""
    flits_out: int
    """The same, outwards."""
    serial: int
    """One token's program from its first operand to END, without waits."""
    loop: int
    """From the credit that a token takes to that credit's return; tokens of one slot follow each
    other no closer."""

    @property
    def slots(self) -> int:
        """Bound by the slots."""
        return -(-self.loop // self.stage.info.slots)


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Occupancy of one core's units, all its stages together."""

    core: Position
    """Where."""
    stages: tuple[StageTime, ...]
    """What it hosts."""

    @property
    def units(self) -> dict[str, int]:
        """Cycles by resource."""
        total = sum((stage.holds for stage in self.stages), Holds())
        return {
            "array": total.array, "sfu": total.sfu,
            "sfu and drain": total.sfu_and_drain, "send": total.send,
            "flits in": sum(stage.flits_in for stage in self.stages),
            "flits out": sum(stage.flits_out for stage in self.stages),
            "dispatch": total.dispatch,
            "slots": max(stage.slots for stage in self.stages),
        }

    @property
    def cycles(self) -> int:
        """Stage time."""
        return max(self.units.values())

    @property
    def binds(self) -> str:
        """The resource with the largest occupancy."""
        units = self.units
        return max(units, key=lambda name: units[name])


@dataclass(frozen=True, slots=True)
class MachineTime:
    """Cycles of one kind of token in the whole machine."""

    token: Token
    """Position and flags."""
    cores: tuple[CoreTime, ...]
    """Cores that host stages."""
    links: dict[Link, int]
    """Flits per token of every router output in use; over a narrow border, the cycles that they
    take."""
    walk: Walk
    """One token through the empty machine."""

    @property
    def slowest(self) -> CoreTime:
        """The core that binds."""
        return max(self.cores, key=lambda core: core.cycles)

    @property
    def busiest_link(self) -> tuple[Link, int]:
        """The router output with most flits."""
        return max(self.links.items(), key=lambda item: item[1])

    @property
    def interval(self) -> int:
        """Least cycles between tokens of a full pipeline."""
        return max(self.slowest.cycles, self.busiest_link[1])

    @property
    def binds(self) -> str:
        """What sets ``interval``."""
        core, ((x, y), port) = self.slowest, self.busiest_link[0]
        if core.cycles < self.busiest_link[1]:
            return f"link {port.name.lower()} of ({x}, {y})"
        return f"{core.binds} of {' + '.join(s.stage.info.name for s in core.stages)}"

    @property
    def latency(self) -> int:
        """From the host's first flit to the result in an otherwise empty machine."""
        return self.walk.result


def machine_time(program: Program, stages: Sequence[Stage], token: Token) -> MachineTime:
    """Occupancies of all cores and links for a token like ``token``.

    Raises
    ------
    PerfError
        If the program's stages do not feed each other.
    """
    machine = program.machine
    walked = walk(program, stages, token)
    walks = {(w.stage.info.core, w.stage.info.index): w for w in walked.stages}
    incoming: dict[tuple[Position, int], int] = defaultdict(int)
    outgoing: dict[tuple[Position, int], int] = defaultdict(int)
    links: dict[Link, int] = defaultdict(int)

    for target in program.embed:
        flits = sum(map(packet_flits, injected_flits(program, target, head_dim(stages))))
        incoming[target.core, target.stage] += flits
        for link in unicast(machine.mesh, machine.host, target.core).links:
            links[link] += flits
    for stage in stages:
        own = (stage.info.core, stage.info.index)
        for send in stage.sends(token.flags):
            flits = packet_flits(send.instruction.fields["flits"])
            outgoing[own] += flits
            for link in send.delivery.links:
                links[link] += flits
            for route in send.delivery.routes:
                if route.target != machine.host:
                    incoming[route.target, send.delivery.stage] += flits
        # The credits that END returns.
        for taken in walked.reserved[own]:
            outgoing[own] += 1
            if taken.core != machine.host:
                incoming[taken.core, taken.stage] += 1
            for link in unicast(machine.mesh, stage.info.core, taken.core).links:
                links[link] += 1

    for link in links:
        if border_cycles(machine, link):
            links[link] *= machine.noc.die_cycles_per_flit

    cores: dict[Position, list[StageTime]] = defaultdict(list)
    for stage in stages:
        own = (stage.info.core, stage.info.index)
        walked_stage = walks[own]
        loop = max(walked_stage.end - taken.cycle + ACCEPT_CYCLES
                   + credit_delay(machine, stage.info.core, taken.core)
                   for taken in walked.reserved[own])
        cores[stage.info.core].append(StageTime(
            stage=stage, holds=holds(machine, stage, token), flits_in=incoming[own],
            flits_out=outgoing[own], serial=walked_stage.serial, loop=loop))
    return MachineTime(
        token=token, links=dict(links), walk=walked,
        cores=tuple(CoreTime(core, tuple(times)) for core, times in cores.items()))
