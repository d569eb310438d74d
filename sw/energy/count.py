"""Events of one token from the graph of a model: those of the cores' counters, and what no counter
has.

Units are counted by ``sw.perf.events``, which RTL is held to. Where cores lie is no part of a
graph, so links and borders on a packet's way are given as means.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ouroboros.hw.params.cim import ACTIVATION_BITS
from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Flag
from ouroboros.sw.block.costs import sends
from ouroboros.sw.block.graph import Graph
from ouroboros.sw.block.stage import BlockStage
from ouroboros.sw.energy.events import Events
from ouroboros.sw.perf.cycles import loaded
from ouroboros.sw.perf.events import unit_events
from ouroboros.sw.program.image import Token, packet_flits

__all__ = ["Ways", "graph_events", "model_events", "stage_units", "ways_within"]

MEAN_OF_SIDE = 2 / 3
"""Mean distance of two places in a square, along its sides, over its side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """Means over all packets."""

    hops: float
    """Links from a core to the nearest receiver; each further one adds a link."""
    borders: float
    """Share of links that cross a border between dies."""


def ways_within(machine: Machine, cores: float) -> Ways:
    """Ways between cores that lie anywhere in a square of so many."""
    mesh = machine.mesh
    across = mesh.width // mesh.die_width - 1, mesh.height // mesh.die_height - 1
    links = max(mesh.width - 1, 1), max(mesh.height - 1, 1)
    return Ways(hops=max(1.0, MEAN_OF_SIDE * cores ** 0.5),
                borders=(across[0] / links[0] + across[1] / links[1]) / 2)


def model_events(graph: Graph, layers: int, token: Token, ways: Ways) -> Events:
    """Events of a token in a model of ``layers`` equal blocks, from the graph of two.

    The first block is like all but the last; embedding and head come once.
    """
    parts = {layer: [stage for stage in graph.stages if stage.info.layer == layer]
             for layer in {stage.info.layer for stage in graph.stages}}
    total = _host(graph, token)
    for layer, stages in parts.items():
        found = graph_events(graph, token, ways, stages)
        total += found * (layers - 1 if layer == 0 else 1)
    return total


def graph_events(graph: Graph, token: Token, ways: Ways,
                 stages: Iterable[BlockStage] | None = None) -> Events:
    """Events of a token in some stages of a graph, by default in all; flits by their senders."""
    total = Events()
    for stage in graph.stages if stages is None else stages:
        total += stage_units(graph, stage, token) + _network(graph.machine, stage, token, ways)
    return total


def _host(graph: Graph, token: Token) -> Events:
    """The token itself, and what the host sends and gets for it."""
    machine = graph.machine
    flit, head = machine.noc.flit_bits // 8, graph.shape.head_dim
    flits = sum(packet_flits(-(-2 * target.channels // flit))
                + (packet_flits(-(-2 * head // flit)) if target.rope_offset >= 0 else 0)
                for target in graph.embed if target.channels)
    for stage in graph.stages:
        flits += sum(packet_flits(step.instruction.fields["flits"])
                     for step in sends(stage, token.flags)
                     if step.flow is not None and step.flow.targets[0][0] == machine.host)
    return Events(tokens=1, tokens_out=int(not token.flags & Flag.QUIET), host_flits=flits)


def stage_units(graph: Graph, stage: BlockStage, token: Token) -> Events:
    """Events of a token in array, special-function units and operand buffers of a stage."""
    machine, image = graph.machine, stage.costed()
    count = unit_events(machine, image, token)
    reads = count["array_group_cycles"] // ACTIVATION_BITS
    return Events(
        array_group_cycles=count["array_group_cycles"], array_reads=reads,
        macs=reads * machine.cim.active_rows * machine.cim.outputs,
        partial_sums=_partial_sums(graph, stage, token), kv_bytes_written=count["byte_writes"],
        kv_rows_written=count["row_writes"], sfu_elements=count["sfu_elements"],
        buffer_bytes=_operand_bytes(machine, stage, token))


def _partial_sums(graph: Graph, stage: BlockStage, token: Token) -> int:
    """What macros hand to the tree: all outputs of each in every frame that it is part of."""
    machine, kv, total = graph.machine, stage.kv or {}, 0
    image = stage.costed()
    blocks = -(-image.local_tokens(machine, token) // machine.block_tokens)
    for i in image.code:
        if not i.runs(token.flags):
            continue
        match i.op:
            case Op.MVM:
                first, steps = i.fields["step"], i.fields["steps"]
                masks = graph.steps[stage.info.core][first:first + steps]
                total += sum(mask.bit_count() for mask in masks) * machine.cim.outputs
            case Op.SCORE:
                total += blocks * machine.cim.outputs
            case Op.CONTEXT:
                total += min(blocks, kv["v_macros"].bit_count()) * kv["head_dim"]
            case _:
                pass
    return total


def _operand_bytes(machine: Machine, stage: BlockStage, token: Token) -> int:
    """What the array unit reads from the buffer."""
    image, kv = stage.costed(), stage.kv or {}
    tokens, total = image.local_tokens(machine, token), 0
    mine = bool(kv) and image.keeps(machine, token)
    for i in image.code:
        if not i.runs(token.flags):
            continue
        match i.op:
            case Op.LOAD:
                total += loaded(i).bytes(machine)
            case Op.APPEND:
                total += 2 * kv["head_dim"] if mine else 0
            case Op.SCORE:
                total += kv["head_dim"] if tokens else 0
            case Op.CONTEXT:
                total += tokens
            case _:
                pass
    return total


def _network(machine: Machine, stage: BlockStage, token: Token, ways: Ways) -> Events:
    """Flits that the stage sends, credits included, and payload read and written for them."""
    sent, hops, moved = 0, 0.0, 0
    flit_bytes = machine.noc.flit_bits // 8
    for step in sends(stage, token.flags):
        assert step.flow is not None, "a SEND has a flow"
        payload = step.instruction.fields["flits"]
        flits, targets = packet_flits(payload), step.flow.targets
        cores = sum(core != machine.host for core, _ in targets)
        sent += flits
        moved += payload * flit_bytes * (1 + cores)
        hops += flits * (ways.hops + len(targets) - 1)
    credits = len(stage.owners)
    hops += credits * ways.hops
    return Events(flits=sent + credits, buffer_bytes=moved, flit_hops=round(hops),
                  die_crossings=round(hops * ways.borders))
