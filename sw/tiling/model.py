"""A whole model as an instance for the placer."""

from collections.abc import Iterable

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.place.instance import Instance
from ouroboros.sw.tiling.block import BlockTraffic, Residual
from ouroboros.sw.tiling.cores import CoreCount, count_cores
from ouroboros.sw.tiling.grid import machine_grid
from ouroboros.sw.tiling.rules import TilingRules
from ouroboros.sw.tiling.traffic import Traffic

__all__ = ["model_traffic", "tile_model"]


def tile_model(machine: Machine, shape: ModelShape, rules: TilingRules | None = None, *,
               defects: Iterable[int] = ()) -> Instance:
    """Tiles of ``shape`` on ``machine`` and the bytes they send each other for a token.

    Tiles are named (layer, kind, number). Bytes are those on links, headers and credits included;
    the host's own packets (embedding rows in, results out) are not in it.

    Parameters
    ----------
    defects : iterable of int
        Ids of dead cores.

    Raises
    ------
    TilingError
        If the model does not fit; says how many such machines it takes.
    """
    grid = machine_grid(machine, defects)
    count = count_cores(machine, shape, rules, dead=len(grid.defects))
    traffic = model_traffic(count)
    assert len(traffic.names) == count.tiles, "tiles must be those that were counted"
    return traffic.instance(f"{shape.name} on {machine.name}", grid)


def model_traffic(count: CoreCount) -> Traffic:
    """Embedding, blocks and head of a counted model."""
    traffic, shape = Traffic(count.machine), count.shape
    build = BlockTraffic(traffic, count)
    if shape.kind != "encoder-decoder":
        last = _chain(build, build.embedding("embed"), 0, shape.n_layers, cross=False)
        build.head(shape.n_layers, last)
        return traffic

    traffic.share = count.rules.prompt_share
    encoded = _chain(build, build.embedding("embed"), 0, shape.n_layers, cross=False)
    traffic.share = 1 - count.rules.prompt_share
    last = _chain(build, build.embedding("decoder embed"), shape.n_layers,
                  shape.n_decoder_layers, cross=True)
    build.head(shape.n_layers + shape.n_decoder_layers, last)
    # The encoder's result goes to the makers of K and V in every block of the decoder.
    traffic.share = count.rules.prompt_share
    makers = [n for n, (_, kind, _) in enumerate(traffic.names) if kind == "cross kv maker"]
    for core, channels in zip(encoded.cores, encoded.channels, strict=True):
        traffic.send(core, makers, len(channels), Type.I8)
    traffic.credit(makers, encoded.root)
    return traffic


def _chain(build: BlockTraffic, before: Residual, first: int, blocks: int, *,
           cross: bool) -> Residual:
    """Blocks one after the other: the first two are built, the others copies of the second."""
    after = build.block(first, before, cross=cross)
    if blocks == 1:
        return after
    mark = build.traffic.mark
    after = build.block(first + 1, after, cross=cross)
    return after.moved(build.traffic.repeat(mark, blocks - 2))
