"""Places an integer model on a machine: layers to stages to cores to macros."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.graph import Graph, build_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.plans import plan_layout
from ouroboros.sw.block.tiling import LayoutPlan
from ouroboros.sw.mapper.core import CoreBuilder
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.mapper.stages import StageWriter
from ouroboros.sw.mapper.ways import Ways
from ouroboros.sw.mapper.weights import Weights
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.program import PoolStage, Program, Role

if TYPE_CHECKING:       # machines without faults need not wait for the compiler behind it
    from ouroboros.sw.noc.routes.routing import Routes

__all__ = ["map_graph", "map_model", "model_graph"]


def map_model(machine: Machine, model: QuantModel, *, placement: str | LayoutPlan = "plain",
              cores: Sequence[Position] | None = None, context: int | None = None,
              routes: "Routes | None" = None, deaf: Collection[Position] = ()) -> Program:
    """Place ``model`` on ``machine``.

    Parameters
    ----------
    placement : str or LayoutPlan
        A name of ``sw.block.plans.PLACEMENTS``, or cores for every matrix by hand.
    cores : sequence of tuple of int, optional
        Where the cores of the layout lie (``Program.roles`` has them in order); by default along a
        snake. ``sw.mapper.placed`` reads them from a placement file.
    context : int, optional
        Positions per sequence; the default is what model, page table and KV macros allow, at most
        256. It may be more than the KV macros hold: a sequence that outgrows them ends there.
    routes : Routes, optional
        Routes around dead cores and links; by default nothing is dead and all packets go XY.
    deaf : collection of tuple of int
        Cores that do not answer, whose routers pass packets on (``Ways``); with routes.

    Raises
    ------
    BlockError
        If something does not fit; the message names the limit and says by how much.
    MapperError
        If there is no way for a packet, or no label for a multicast.
    NocError
        If the host's port is beside a dead core.
    """
    if routes is not None and isinstance(placement, LayoutPlan) and placement.pool is not None:
        raise MapperError("pools must be at a machine on which nothing is dead: packets to an edge "
                          "port go XY only")
    ways = Ways(machine, routes, deaf)
    graph = model_graph(machine, model, placement, cores=cores, context=context, live=ways.live)
    return map_graph(graph, Weights(model), ways)


def model_graph(machine: Machine, model: QuantModel, placement: str | LayoutPlan, *,
                cores: Sequence[Position] | None = None, context: int | None = None,
                live: Sequence[Position] | None = None) -> Graph:
    """The graph of an integer model; parameters and errors are those of ``map_model``."""
    shape = model.shape
    plan = plan_layout(machine, shape, placement, len(live or machine.mesh.coordinates),
                       model.scheme)
    return build_graph(machine, shape, layout(machine, shape, plan, cores, live), context=context,
                       seq_len=shape.seq_len, scheme=model.scheme)


def map_graph(graph: Graph, weights: Weights | None, ways: Ways | None = None) -> Program:
    """A graph as a program; without ``weights`` it has zeros for parameters, and no weights.

    Raises
    ------
    BlockError
        If a table of a core is too small.
    MapperError
        If there is no way for a packet, or no label for a multicast.
    """
    machine, shape = graph.machine, graph.shape
    ways = ways or Ways(machine)
    writer = StageWriter(graph, ways, weights)
    writer.write()
    cores = writer.cores
    # Images of all cores, and of those whose routers only pass multicasts on.
    for core, table in writer.labels.tables.items():
        builder = cores.setdefault(core, CoreBuilder(machine, core))
        for label, ports in table.items():
            builder.label(label, ports)
    assert graph.result is not None, "a program has a head"
    return Program(
        machine=machine, placement=graph.layout.name, context=graph.context,
        sequences=machine.kv.sequences, vocab_size=shape.vocab_size, dim=shape.dim,
        images={core: builder.image() for core, builder in cores.items()}, embed=graph.embed,
        logit_slices=tuple((core, share.start, len(share)) for core, share in graph.logits),
        result_core=graph.result, stages=tuple(stage.info for stage in graph.stages
                                               if stage.key not in writer.pools),
        roles=tuple(Role(core=core, stages=tuple(builder.stage_names),
                         macros_used=graph.macros_used[core])
                    for core, builder in cores.items() if builder.stage_names),
        kv_blocks=graph.kv_blocks, kv_sequence_blocks=graph.kv_sequence_blocks,
        kv_members=graph.members, detours=ways.detours(cores.keys()),
        pools=_pools(graph, writer))


def _pools(graph: Graph, writer: StageWriter) -> tuple[PoolStage, ...]:
    plan = graph.layout.pool
    return () if plan is None else tuple(
        PoolStage(stage.info, writer.pools[stage.key].image(), plan.rank)
        for stage in graph.stages if stage.key in writer.pools)
