"""A whole model as an instance for the placer: the cores of its layout, and what they send."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ouroboros.hw.params.machine import MeshParams
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.cores import CoreCount
from ouroboros.sw.block.costs import sends
from ouroboros.sw.block.graph import Graph, build_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.mapper.grid import machine_grid
from ouroboros.sw.place.instance import Instance, Net
from ouroboros.sw.program.image import packet_flits

__all__ = ["Name", "graph_names", "graph_nets", "tile_model"]

Name = tuple[int, str, int]
"""(layer, kind, number) of a tile; layer -1 for embedding and head."""
PATTERN = 3
"""Blocks that are built: the first, one that all in the middle are copies of, and the last."""
ROOMY = MeshParams(width=126, height=126, die_width=126, die_height=126)


def graph_names(graph: Graph) -> list[Name]:
    """What the cores of a layout are, in its order; of a core with several stages, its first."""
    found: dict[Position, Name] = {}
    numbers: dict[tuple[int, str], int] = {}
    for stage in graph.stages:
        info = stage.info
        kind = info.kind
        if kind == "norm":
            kind = f"{info.name.split('.')[1 if info.layer < 0 else 2]} norm"
        if info.core not in found:
            number = numbers.get((info.layer, kind), 0)
            numbers[info.layer, kind] = number + 1
            found[info.core] = info.layer, kind, number
    return [found[core] for core in graph.layout.cores]


def graph_nets(graph: Graph) -> list[Net]:
    """Every SEND between cores and every credit of a token: bytes on links, headers included.

    Tiles are the cores of the layout in its order. What the host sends and is sent is not in it.
    """
    tile = {core: n for n, core in enumerate(graph.layout.cores)}
    flit_bytes, host = graph.machine.noc.flit_bits // 8, graph.machine.host
    nets: dict[tuple[int, tuple[int, ...]], int] = {}

    def flow(source: Position, targets: Iterable[Position], flits: int) -> None:
        sinks = tuple(sorted(tile[target] for target in targets
                             if target not in (host, source)))
        if sinks:
            key = tile[source], sinks
            nets[key] = nets.get(key, 0) + flits * flit_bytes

    for stage in graph.stages:
        core = stage.info.core
        for step in sends(stage):
            assert step.flow is not None, "a SEND has a flow"
            flow(core, [target for target, _ in step.flow.targets],
                 packet_flits(step.instruction.fields["flits"]))
        for owner, _ in stage.owners:
            flow(core, [owner], 1)
    return [Net(source=source, sinks=sinks, volume_bytes=volume)
            for (source, sinks), volume in nets.items()]


def tile_model(count: CoreCount, *, defects: Iterable[int] = ()) -> Instance:
    """Tiles of a counted model and the bytes they send each other for a token.

    Parameters
    ----------
    defects : iterable of int
        Ids of dead cores.

    Raises
    ------
    BlockError
        If a block does not fit its cores.
    """
    machine, shape, plan = count.machine, count.shape, count.plan
    blocks = min(shape.n_layers, PATTERN)
    small, roomy = replace(shape, n_layers=blocks), replace(machine, mesh=ROOMY)
    graph = build_graph(roomy, small, layout(roomy, small, plan), context=1)
    names, nets = graph_names(graph), graph_nets(graph)
    copies = shape.n_layers - blocks
    if copies:
        names, nets = _repeat(names, nets, copies)
    assert len(names) == count.tiles, "tiles must be those that were counted"
    counts = np.array([len(net.sinks) for net in nets], np.int64)
    edges = np.stack([
        np.repeat(np.array([net.source for net in nets], np.int64), counts),
        np.array([sink for net in nets for sink in net.sinks], np.int64),
        np.repeat(np.array([net.volume_bytes for net in nets], np.int64), counts)], 1)
    return Instance(name=f"{shape.name} on {machine.name}", tiles=len(names), edges=edges,
                    grid=machine_grid(machine, defects), tile_names=tuple(names),
                    nets=tuple(nets))


def _repeat(names: list[Name], nets: list[Net], copies: int) -> tuple[list[Name], list[Net]]:
    """Copy the middle one of three blocks ``copies`` times more.

    A copy's tiles lie behind those of the one before, and so do the tiles of other blocks that its
    nets name.
    """
    first = [names.index((layer, "qkv", 0)) for layer in range(PATTERN)]
    size = first[2] - first[1]
    middle = names[first[1]:first[2]]
    longer = names[:first[2]]
    for copy in range(1, copies + 1):
        longer += [(layer + copy, kind, n) for layer, kind, n in middle]
    longer += [(layer + copies, kind, n) for layer, kind, n in names[first[2]:]]

    def moved(net: Net, shift: int) -> Net:
        def at(tile: int) -> int:
            return tile + shift if tile >= first[0] else tile
        return Net(source=at(net.source), sinks=tuple(map(at, net.sinks)),
                   volume_bytes=net.volume_bytes)

    found = []
    for net in nets:
        layer = names[net.source][0]
        if layer == 1:
            found += [moved(net, copy * size) for copy in range(copies + 1)]
        else:
            # The embedding feeds the first block; the last one feeds the head, which credits it.
            last = layer == PATTERN - 1 or names[net.source][1] in ("lm", "best")
            found.append(moved(net, copies * size if last else 0))
    return longer, found
