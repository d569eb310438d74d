"""One token through a graph: its longest path, with ways of equal length between all cores."""

from dataclasses import dataclass

from ouroboros.hw.params.noc import PAYLOAD_FLITS_MAX
from ouroboros.hw.params.timing.network import (
    COUNT_CYCLES,
    HOST_CYCLES,
    LEAVE_CYCLES,
    LOOKUP_CYCLES,
)
from ouroboros.sw.block.graph import Graph
from ouroboros.sw.block.stage import StageKey
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.walk import Running, StageWalk
from ouroboros.sw.program.image import Token

__all__ = ["GraphWalk", "walk_graph"]


@dataclass(frozen=True, slots=True)
class GraphWalk:
    """When everything happens to a token that is alone in the machine, from its injection on."""

    stages: dict[StageKey, StageWalk]
    """Start and end of every stage."""
    reserved: dict[StageKey, int]
    """Cycle in which the SEND that takes a credit for its slot is accepted; 0 for the host's."""
    result: int
    """Cycle in which the host has the result packet; of a model without head, the last END."""


def walk_graph(graph: Graph, token: Token, way_cycles: int) -> GraphWalk:
    """Send a token through; embedding rows are in their cores at once.

    Parameters
    ----------
    way_cycles : int
        From a flit on the link out of one core to the link into another.

    Raises
    ------
    PerfError
        If some stage waits for packets that nobody sends.
    """
    machine = graph.machine
    running = {stage.key: Running(machine, stage.costed(), token) for stage in graph.stages}
    reserved: dict[StageKey, int] = {}
    result = 0
    for target in graph.embed:
        injected = target.core, target.stage
        reserved[injected] = 0
        for _ in range(graph.packets[injected] if target.channels else 0):
            running[injected].arrive(0, 0, 0)
    todo = [run for run in running.values() if run.walk.allocated is not None]
    while todo:
        sender = todo.pop()
        info = sender.stage.info
        steps = graph.by_key[info.core, info.index].steps
        for accepted, at in sender.run():
            flow, left = steps[at].flow, steps[at].instruction.fields["flits"]
            assert flow is not None, "a SEND has a flow"
            reserved |= dict.fromkeys(flow.reserve, accepted)
            header = accepted + LEAVE_CYCLES + way_cycles
            while left:
                length = min(left, PAYLOAD_FLITS_MAX)
                if flow.targets[0][0] == machine.host:
                    result = max(result, header + length + HOST_CYCLES)
                else:
                    for key in flow.targets:
                        running[key].arrive(flow.operand, header + LOOKUP_CYCLES,
                                               header + length + COUNT_CYCLES)
                header += length + 1
                left -= length
            todo += [running[key] for key in flow.targets if key[0] != machine.host]
    stuck = [run.stage.info.name for run in running.values() if not run.ended]
    if stuck:
        raise PerfError(f"every stage of the graph must get all its operands, not {stuck}")
    walks = {key: run.walk for key, run in running.items()}
    return GraphWalk(walks, reserved, result or max(walk.end for walk in walks.values()))
