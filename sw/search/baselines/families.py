"""Mappings made by rule: those with names, and the families that they belong to."""

from collections.abc import Iterator

import numpy as np

from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.layers import Ints
from ouroboros.sw.search.problem.mapping import Cuts, Mapping

__all__ = ["CURVES", "SEGMENTS", "SHARES", "best_kind", "curve", "cuts_of", "families", "named",
           "pipeline", "stage_pipeline", "tensor_parallel"]

CURVES = ("rows", "snake", "near DRAM")
"""Orders of the chips."""
SEGMENTS = ("one", "each layer", "each stage", "each block")
"""Where segments end."""
SHARES = ("same", "rotated", "own")
"""Chips of the micro-batches: all the same, the same from another first one on, parts."""


def curve(problem: Problem, name: str) -> Ints:
    """Chips in an order, ``(chips,)``."""
    chips, mesh = np.arange(problem.instance.chips), problem.tables.mesh
    if name == "snake":
        turned: Ints = np.where(mesh.y % 2, mesh.columns - 1 - mesh.x, mesh.x)
        return mesh.y * mesh.columns + turned
    if name == "near DRAM":
        return np.argsort(mesh.port_hops, kind="stable")
    return chips


def best_kind(problem: Problem) -> Ints:
    """Kind on which each layer of all micro-batches takes fewest cycles, ``(layers,)``."""
    best: Ints = _cycles(problem).argmin(1)
    return best


def cuts_of(problem: Problem, segments: str) -> Cuts:
    """Where segments end, ``(layers - 1,)``."""
    layers = problem.layers
    if segments == "one":
        return np.zeros(layers.stage.size - 1, np.int8)
    if segments == "each layer":
        return np.ones(layers.stage.size - 1, np.int8)
    of = layers.stage if segments == "each stage" else layers.block
    ends: Cuts = (np.diff(of) != 0).astype(np.int8)
    return ends


def pipeline(problem: Problem) -> Mapping:
    """Layers dealt out over the chips, a segment for each round, as the paper's program has it."""
    layers = np.arange(problem.instance.layers)
    chips = problem.instance.chips
    return _same(problem, ((layers[:-1] + 1) % chips == 0).astype(np.int8), layers % chips)


def tensor_parallel(problem: Problem, *, order: str, segments: str, by_kind: bool = False,
                    share: str = "same", apart: bool = False) -> Mapping:
    """Tile j of every stage on chip j of an order.

    Parameters
    ----------
    order, segments, share : str
        From ``CURVES``, ``SEGMENTS``, ``SHARES``.
    by_kind : bool
        Only on chips of the kind that is best for the layer.
    apart : bool
        Every stage begins ``tiles`` chips further.
    """
    instance, layers = problem.instance, problem.layers
    line, best = curve(problem, order), best_kind(problem)
    batches = len(instance.micro_batches)
    chips = np.zeros((batches, instance.layers), np.int64)
    for layer in range(instance.layers):
        some = line[problem.tables.kind[line] == best[layer]] if by_kind else line
        if not some.size:
            some = line
        first = layers.tile[layer] + (layers.stage[layer] * instance.tiles if apart else 0)
        for batch in range(batches):
            low, high = 0, some.size
            if share == "own":
                low = batch * some.size // batches
                high = max(low + 1, (batch + 1) * some.size // batches)
            turn = batch * max(1, some.size // batches) if share == "rotated" else 0
            chips[batch, layer] = some[low + (first + turn) % (high - low)]
    return Mapping(cuts=cuts_of(problem, segments), chips=chips.astype(np.int16))


def stage_pipeline(problem: Problem, *, order: str, segments: str) -> Mapping:
    """Each stage on chips of its own, as many as its part of the work."""
    instance, layers = problem.instance, problem.layers
    line, best = curve(problem, order), best_kind(problem)
    cycles = _cycles(problem)
    work = np.bincount(layers.stage, cycles[np.arange(best.size), best] / problem.units)
    total, before = work.sum(), 0.0
    chips = np.zeros(instance.layers, np.int64)
    for stage, part in enumerate(work):
        low = int(before / total * instance.chips)
        before += part
        high = max(low + 1, int(before / total * instance.chips + 1e-9))
        low = min(low, instance.chips - 1)
        high = min(max(high, low + 1), instance.chips)
        mine = layers.stage == stage
        chips[mine] = line[low + layers.tile[mine] % (high - low)]
    return _same(problem, cuts_of(problem, segments), chips)


def named(problem: Problem) -> dict[str, Mapping]:
    """The six mappings that others are held against."""
    return {
        "repo_pipeline": pipeline(problem),
        "model_parallel_depth": tensor_parallel(problem, order="rows", segments="one"),
        "model_parallel_breadth": tensor_parallel(problem, order="rows", segments="each stage"),
        "data_parallel": tensor_parallel(problem, order="snake", segments="one", share="own"),
        "stage_pipeline": stage_pipeline(problem, order="snake", segments="one"),
        "kind_aware_breadth": tensor_parallel(problem, order="rows", segments="each stage",
                                              by_kind=True)}


def families(problem: Problem) -> Iterator[Mapping]:
    """The named ones, then every combination of the parameters: 162 mappings."""
    yield from named(problem).values()
    for order in CURVES:
        for by_kind in (False, True):
            for segments in SEGMENTS:
                for share in SHARES:
                    for apart in (False, True):
                        yield tensor_parallel(problem, order=order, segments=segments,
                                              by_kind=by_kind, share=share, apart=apart)
    for order in CURVES:
        for segments in SEGMENTS:
            yield stage_pipeline(problem, order=order, segments=segments)


def _cycles(problem: Problem) -> Ints:
    """Time units of each layer of all micro-batches on each kind, ``(layers, kinds)``."""
    cost = problem.tables.cost[:, :, 0]
    found: Ints = cost.reshape(problem.batches, problem.stages, -1).sum(0)
    return found[problem.layers.stage]


def _same(problem: Problem, cuts: Cuts | Ints, chips: Ints) -> Mapping:
    batches = len(problem.instance.micro_batches)
    return Mapping(cuts=cuts.astype(np.int8), chips=np.tile(chips.astype(np.int16), (batches, 1)))
