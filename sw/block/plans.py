"""Layouts by name, and the tilings of ``tiled``.

Q, K, V, up/gate and the head are output-tiled: every core has all inputs. So is the projection
while its inputs reach a core within the cycles of an MVM. Otherwise the projection, and always
down, are tiled by ``rows x columns`` macros a core: on fewest cores, or up to 1/16 more if a block
then sends less, among the tilings that are not slower than an up/gate core (all its units: array,
SFU, flits in and out) or 9/8 of an MVM. Where several cores share the inputs, int32 partial sums
are exchanged.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine, MeshParams
from ouroboros.sw.block.costs import stage_costs
from ouroboros.sw.block.graph import build_graph
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.schemes import check_scheme
from ouroboros.sw.block.sizes import Sizes, divide
from ouroboros.sw.block.tiling import LayoutPlan, columns, plain, split, tiled
from ouroboros.sw.models.scheme import R, Scheme
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.program.image import Token

__all__ = ["PLACEMENTS", "kv_sharing", "plan_layout", "tiled_plan"]

PLACEMENTS = ("plain", "split", "tiled")
Slicing = tuple[int, int]
"""Row slices, column slices."""
CORES_FOR_TRAFFIC = 16
"""One core more of so many is given for less traffic: links bind before cores do."""
ROOMY = MeshParams(width=126, height=126, die_width=126, die_height=126)
"""A mesh on which tilings are tried: where their cores lie costs nothing here."""


def plan_layout(machine: Machine, shape: ModelShape, placement: str | LayoutPlan,
                have: int, scheme: Scheme = R) -> LayoutPlan:
    """Cores of every kind by a layout's name, or as given.

    ``plain``: a core for each of QKV, projection, up/gate and down, one for each KV head (or fewer
    if the ``have`` live cores are too few). ``split``: residual, norm statistics and the inputs of
    the down projection over two cores, every KV head over two cores, QKV over two cores. ``tiled``:
    every matrix over as many cores as its tiles ask for, one stage a core; what is left is shared
    out to KV.

    Raises
    ------
    BlockError
        If the placement is unknown, or not for this model, or the machine does not compute its
        scheme.
    """
    # Before any tiling is tried: those of a scheme that is not computed would all be refused.
    check_scheme(machine, shape, scheme)
    if isinstance(placement, LayoutPlan):
        return placement
    if placement == "plain":
        return plain(machine, shape, have)
    if placement == "split":
        return split(machine, shape)
    if placement != "tiled":
        raise BlockError(f"placement must be one of {PLACEMENTS}, not {placement!r}")
    bare = tiled_plan(machine, shape, kv_heads=1, members=1, scheme=scheme)
    left = have - bare.weight_cores(shape.n_layers) - bare.embed_cores
    heads, members = kv_sharing(machine, shape, left, scheme)
    return tiled_plan(machine, shape, kv_heads=max(heads, 1), members=max(members, 1),
                      scheme=scheme)


def kv_sharing(machine: Machine, shape: ModelShape, cores: int,
               scheme: Scheme = R) -> tuple[int, int]:
    """KV heads of one core, and most cores that share the tokens of its heads; (0, 0): none fit.

    A core has more than one head only where ``cores`` are fewer than heads. Whoever reserves the
    members' slots has a counter for each.
    """
    heads, each = shape.attention_layers * shape.n_kv_heads, 1
    while heads // each > cores:
        each *= 2
        if each > machine.kv.heads or shape.n_kv_heads % each:
            return 0, 0
    most = min(cores // (heads // each), machine.core.credits // _groups_of_maker(
        machine, shape, each, scheme))
    return (each, most) if most else (0, 0)


def _groups_of_maker(machine: Machine, shape: ModelShape, kv_heads: int,
                     scheme: Scheme) -> int:
    """Groups of KV cores whose first query one QKV core makes, at most."""
    heads = divide(shape.n_kv_heads, min(
        _matrices(machine, shape, scheme).qkv, shape.n_kv_heads))
    return max(heads // kv_heads, 1)


@dataclass(frozen=True, slots=True)
class _Matrices:
    """Cores for the weights of a block and of the head."""

    qkv: int
    proj: Slicing
    up: int
    down: Slicing
    lm: int


def tiled_plan(machine: Machine, shape: ModelShape, *, kv_heads: int, members: int,
               scheme: Scheme = R) -> LayoutPlan:
    """The layout ``tiled`` with ``members`` cores for every ``kv_heads`` KV heads of a block.

    Raises
    ------
    BlockError
        If the inputs of an output-tiled matrix exceed a core.
    """
    found = _matrices(machine, shape, scheme)
    return tiled(machine, shape, qkv=found.qkv, kv_groups=shape.n_kv_heads // kv_heads,
                 members=members, proj=found.proj, up=found.up, down=found.down, lm=found.lm,
                 embed=_even(machine, shape.dim, found.down[0] * found.down[1]))


def _even(machine: Machine, size: int, count: int) -> int:
    """At most ``count`` equal shares of whole words that leave none empty."""
    return divide(size, len(Sizes(machine).share(size, 0, count)))


@functools.cache
def _matrices(machine: Machine, shape: ModelShape, scheme: Scheme) -> _Matrices:
    if shape.head_dim > machine.cim.outputs or machine.cim.outputs % shape.head_dim:
        raise BlockError(f"head_dim of model {shape.name!r} must divide cim.outputs "
                         f"({machine.cim.outputs}), not {shape.head_dim}")
    size, per_kv = Sizes(machine), shape.n_heads // shape.n_kv_heads
    pad = size.padded(shape.head_dim)
    whole = columns(machine, shape.dim, shape.dim).columns * machine.cim.outputs // pad
    qkv = divide(shape.n_kv_heads * (per_kv + 2), max(whole, 1))
    matrices = 2 if shape.gated else 1
    wide = columns(machine, shape.dim, matrices * machine.cim.outputs).columns
    up = _even(machine, shape.hidden_dim,
               divide(shape.hidden_dim, max(wide // matrices, 1) * machine.cim.outputs))
    lm = _even(machine, shape.vocab_size,
               columns(machine, shape.dim, shape.vocab_size).cores) if shape.head else 0
    tiles = divide(shape.hidden_dim, machine.cim.rows)
    start = (divide(tiles, machine.core.macros), _even(machine, shape.dim, divide(
        divide(shape.dim, machine.cim.outputs), max(machine.core.macros // tiles, 1))))
    found = _Matrices(qkv, (1, 1), up, start, lm)

    def by_outputs(inputs: int, outputs: int) -> Slicing:
        return 1, _even(machine, outputs, columns(machine, inputs, outputs).cores)

    width = shape.n_heads * pad
    if size.flits(width, Type.I8) <= machine.cim.mvm_cycles:
        found = replace(found, proj=by_outputs(width, shape.dim))
    else:
        found = replace(found, proj=_best(
            machine, shape, scheme, "proj", width, lambda tiling: replace(found, proj=tiling)))
    return replace(found, down=_best(
        machine, shape, scheme, "down", shape.hidden_dim,
        lambda tiling: replace(found, down=tiling)))


def _best(machine: Machine, shape: ModelShape, scheme: Scheme, kind: str, inputs: int,
          with_tiling: Callable[[Slicing], _Matrices]) -> Slicing:
    """Input tiling that is fast enough, on about fewest cores, and sends least; or the fastest."""
    tiles, outputs = divide(inputs, machine.cim.rows), divide(shape.dim, machine.cim.outputs)
    choices: list[tuple[int, int, Slicing]] = []
    for rows in range(1, min(machine.core.macros, tiles) + 1):
        slices = divide(tiles, rows)
        across = _even(machine, shape.dim, divide(outputs, min(machine.core.macros // rows,
                                                               outputs)))
        if kind == "down":
            slices = _even(machine, inputs, slices)
        choices.append((slices * across, rows, (slices, across)))
    timed: list[tuple[int, int, int, Slicing]] = []
    enough: list[tuple[int, int, int, Slicing]] = []
    most = 0
    for cores, rows, tiling in sorted(choices):
        if enough and cores > most:
            break
        try:
            cycles, goal, flits = _cycles(machine, shape, scheme, kind, with_tiling(tiling))
        except BlockError:      # slices of less than a word, or more than a core holds
            continue
        timed.append((cycles, cores, rows, tiling))
        if cycles <= max(goal, machine.cim.mvm_cycles * 9 // 8):
            most = most if enough else cores + cores // CORES_FOR_TRAFFIC
            enough.append((flits, cores, rows, tiling))
    if enough:
        return min(enough)[3]
    if not timed:
        raise BlockError(f"matrix {kind!r} of model {shape.name!r} must fit cores of machine "
                         f"{machine.name!r} in some tiling, and does in none")
    return min(timed)[3]


def _cycles(machine: Machine, shape: ModelShape, scheme: Scheme, kind: str,
            found: _Matrices) -> tuple[int, int, int]:
    """Slowest core of ``kind`` and of up/gate in a block that another one follows; flits that the
    cores of ``kind`` send.
    """
    two = ModelShape(
        name=shape.name, source=shape.source, dim=shape.dim, hidden_dim=shape.hidden_dim,
        n_layers=2, n_heads=shape.n_heads, n_kv_heads=shape.n_kv_heads, head_dim=shape.head_dim,
        vocab_size=shape.vocab_size, gated=shape.gated, head=False,
        positions=shape.positions, position_rows=shape.position_rows)
    roomy = replace(machine, mesh=ROOMY)
    plan = tiled(machine, two, qkv=found.qkv, kv_groups=shape.n_kv_heads, members=1,
                 proj=found.proj, up=found.up, down=found.down, lm=0,
                 embed=_even(machine, shape.dim, found.down[0] * found.down[1]))
    graph = build_graph(roomy, two, layout(roomy, two, plan), context=1, scheme=scheme)
    costs = stage_costs(roomy, graph.stages, Token(0), [
        stage for stage in graph.stages
        if stage.info.layer == 0 and stage.info.kind in (kind, "up")])
    return (max(cost.cycles for cost in costs if cost.stage.info.kind == kind),
            max(cost.cycles for cost in costs if cost.stage.info.kind == "up"),
            sum(cost.port.flits_out for cost in costs if cost.stage.info.kind == kind))
