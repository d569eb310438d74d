"""What a stage costs its core for one token: units and port, with the formulas of ``sw.perf``."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.timing.network import multicast_cycles
from ouroboros.sw.block.stage import BlockStage, StageKey, Step
from ouroboros.sw.perf.cycles import Holds, holds, serial
from ouroboros.sw.program.image import Token, packet_flits

__all__ = ["PortLoad", "StageCost", "port_loads", "sends", "stage_costs"]

@dataclass(slots=True)
class PortLoad:
    """Flits per token through the port of a stage's core, headers and credits included."""

    flits_in: int = 0
    """Into the core."""
    flits_out: int = 0
    """Out of it; a multicast leaves once."""
    multicast: int = 0
    """Cycles of a router input on the multicast trees that end here."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage of a core of its own, per token."""

    stage: BlockStage
    """The stage."""
    holds: Holds
    """Units."""
    port: PortLoad
    """Flits."""
    serial: int
    """Cycles of one token's program without waits."""

    @property
    def units(self) -> dict[str, int]:
        """Cycles by resource."""
        return {"array": self.holds.array, "SFU": self.holds.sfu_and_drain,
                "send": self.holds.send, "flits in": self.port.flits_in,
                "flits out": self.port.flits_out, "multicast": self.port.multicast,
                "dispatch": self.holds.dispatch}

    @property
    def cycles(self) -> int:
        """The largest of them."""
        return max(self.units.values())


def sends(stage: BlockStage, flags: int = 0) -> list[Step]:
    """SENDs that a token with these flags executes."""
    return [step for step in stage.steps
            if step.flow is not None and step.instruction.runs(flags)]


def port_loads(machine: Machine,
               stages: Iterable[BlockStage]) -> dict[StageKey, PortLoad]:
    """Flits of every stage's port; the host's embedding rows are left out."""
    loads: dict[StageKey, PortLoad] = defaultdict(PortLoad)
    for stage in stages:
        for step in sends(stage):
            assert step.flow is not None, "a SEND has a flow"
            payload = step.instruction.fields["flits"]
            flits, copying = packet_flits(payload), multicast_cycles(machine.noc, payload)
            loads[stage.key].flits_out += flits
            for target in step.flow.targets:
                if target[0] != machine.host:
                    loads[target].flits_in += flits
                    loads[target].multicast += copying if len(step.flow.targets) > 1 else 0
        for owner in stage.owners:
            loads[stage.key].flits_out += 1
            if owner[0] != machine.host:
                loads[owner].flits_in += 1
    return loads


def stage_costs(machine: Machine, stages: Sequence[BlockStage], token: Token,
                costed: Iterable[BlockStage] | None = None) -> list[StageCost]:
    """Costs of ``costed`` (by default all) among all the stages that send to each other."""
    loads = port_loads(machine, stages)
    found = []
    for stage in stages if costed is None else costed:
        image = stage.costed()
        found.append(StageCost(stage, holds(machine, image, token), loads[stage.key],
                               serial(machine, image, token, image.code)))
    return found
