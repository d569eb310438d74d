"""Prompts on a machine with K and V on the wafer, in a pool at its edge, and in both: the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.hw.params.machine import Machine, load_machine
from ouroboros.hw.params.position import Position
from ouroboros.sw.api.shared import OnMachine, WithScheme
from ouroboros.sw.api.weights import WithTexts
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.plans import PLACEMENTS, plan_layout
from ouroboros.sw.block.pool import PoolPlan, pool_rank
from ouroboros.sw.block.tiling import LayoutPlan
from ouroboros.sw.lib.options import option
from ouroboros.sw.mapper.integers import integer_model
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.program.program import Program
from ouroboros.sw.runtime.job import Job, Progress, RequestSpec
from ouroboros.sw.runtime.scale import is_big
from ouroboros.sw.runtime.service import BACKENDS, Served, backend, compare, serve_job
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.pictures import WHERE_MARK, draw_where

__all__ = ["PLACES", "PoolOptions", "PoolServed", "serve_pools"]

PLACES = ("wafer", "tier", "split")
"""Where K and V are: in cores, in pools alone, or blocks in turn in both."""
LAYOUTS = tuple(name for name in PLACEMENTS if name != "tiled")


@dataclass(frozen=True, kw_only=True)
class PoolOptions(WithTexts, WithScheme, OnMachine):
    """Prompts, a machine with pools at edge ports, and where K and V are to be."""

    prompts: tuple[str, ...] = option(("Once upon a time", "The dog"), flag="--prompt",
                                      metavar="TEXT")
    """A prompt; may be repeated, all are served together."""
    tokens: int = option(16, metavar="N", least=1)
    """Tokens to generate for each prompt at most."""
    kv: tuple[str, ...] = option(PLACES, choices=lambda: PLACES)
    """Where K and V are; may be repeated, and each is run and held against the others."""
    on: str = option("golden", choices=lambda: BACKENDS)
    """What runs the program; pools are golden ranks, in a simulation with a rank's time."""
    placement: str = option("plain", choices=lambda: LAYOUTS)
    """How the model is laid over the cores, without the pool."""
    port: tuple[str, ...] = option((), metavar="X,Y")
    """Edge port with a pool, x or y just outside the mesh; may be repeated. By default those of the
    machine's more_hosts, or else one in the middle of the east edge."""
    rows: int = option(64, metavar="N", least=2)
    """Rows of a bank of a pool's rank: what K and V have room in."""
    context: int | None = option(None, metavar="N", least=1)
    """Positions per sequence; by default what model and machine allow without a pool."""
    lost: int | None = option(None, metavar="TIME", least=0)
    """When the pools disappear, in cycles, on golden in tokens that have gone in: what had K and V
    there is computed again on the wafer."""
    plot: Path | None = option(None, written=True, mark=WHERE_MARK, suffixes=(".svg", ".png"))
    """Picture: where K and V are over time."""


@dataclass(frozen=True, kw_only=True)
class PoolServed:
    """Runs of the same prompts by where K and V were."""

    runs: Mapping[str, Served]
    """By a name of ``PLACES``."""
    verdicts: Mapping[str, bool]
    """Whether tokens and logits of each were the golden decoder's."""
    ports: tuple[Position, ...]
    """Of the pools."""

    @property
    def same(self) -> bool:
        """Whether all runs gave the same tokens and the same logits, bit for bit."""
        requests = [run.result.requests for run in self.runs.values()]
        return all(
            one.tokens == other.tokens and one.vectors.keys() == other.vectors.keys()
            and all(np.array_equal(vector, other.vectors[position])
                    for position, vector in one.vectors.items())
            for others in requests[1:] for one, other in zip(requests[0], others, strict=True))

    @property
    def exact(self) -> bool:
        """Whether all are the golden decoder's."""
        return all(self.verdicts.values())

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "same_tokens_and_logits": self.same, "ports": [list(port) for port in self.ports],
            "runs": {place: _as_dict(run, self.verdicts[place])
                     for place, run in self.runs.items()}}


def _as_dict(run: Served, exact: bool) -> dict[str, Any]:
    result = run.result
    return {
        "machine": run.program.machine.name, "placement": run.program.placement,
        "context": run.program.context, "members": run.program.kv_members,
        "tokens": [request.tokens for request in result.requests],
        "finished": [request.finished for request in result.requests],
        "preemptions": [request.preemptions for request in result.requests],
        "bit_exact": exact, "vectors_checked": run.vectors_checked,
        "cycles": result.cycles,
        "most_on_wafer": max((sum(at.wafer) for at in result.where), default=0),
        "most_in_pools": max((sum(at.pool) for at in result.where), default=0),
        "where": [{"time": at.time, "wafer": list(at.wafer), "pool": list(at.pool)}
                  for at in result.where],
        "loss": None if result.pool_loss is None else {
            "time": result.pool_loss.time, "recomputed": result.pool_loss.recomputed,
            "finished_before": result.pool_loss.finished,
            "refused": result.pool_loss.refused}}


def serve_pools(options: PoolOptions,
                progress: Progress = lambda what, done, total: None) -> PoolServed:
    """Quantise, map, run with K and V at each place, and compare; draws if asked for.

    Raises
    ------
    OuroborosError
        If the model, or a sequence, does not fit machine or pool, or a tool is missing.
    """
    source = options.source()
    machine, ports = _with_ports(load_machine(options.machine), options.port)
    if options.lost is not None and set(options.kv) == {"wafer"}:
        raise TierError("lost must be given with K and V in a pool, not with kv 'wafer' alone")
    backend(options.on)
    model = integer_model(source, machine, options.scheme)
    programs = _programs(options, machine, model, ports)
    specs = []
    for prompt in options.prompts:
        ids = tuple(source.coder.encode(prompt, bos=True))
        least = min(program.context for program in programs.values())
        if not 0 < len(ids) <= least:
            raise TierError(f"prompt {prompt[:40]!r} must be 1 to {least} tokens (the context), "
                            f"not {len(ids)}")
        specs.append(RequestSpec(prompt=ids, limit=options.tokens, logits="all"))
    runs = {}
    for place in dict.fromkeys(options.kv):
        lost = options.lost if place != "wafer" else None
        runs[place] = serve_job(Job(
            program=programs[place], model=model, requests=tuple(specs), measured=True,
            stop_ids=model.special.stop_ids, twin=is_big(machine), observe=False,
            pool_lost=lost, without=programs.get("fallback")), options.on, progress)
    # On the golden machine, which judges others, nothing has said so yet.
    verdicts = {place: compare(model, run.result.requests)[0] if run.bit_exact is None
                else run.bit_exact for place, run in runs.items()}
    found = PoolServed(runs=runs, verdicts=verdicts, ports=ports)
    if options.plot is not None:
        draw_where({place: run.result.where for place, run in runs.items()},
                   {place: run.result.pool_loss for place, run in runs.items()},
                   "tokens that have gone in" if options.on == "golden" else "cycles",
                   options.plot)
    return found


def _with_ports(machine: Machine,
                asked: tuple[str, ...]) -> tuple[Machine, tuple[Position, ...]]:
    """The machine with edge ports for the pools, and where these are."""
    mesh = machine.mesh
    try:
        ports = tuple((int(x), int(y)) for x, y in (one.split(",") for one in asked))
    except ValueError:
        raise TierError(f"port must be x,y, not {', '.join(asked)!r}") from None
    ports = ports or mesh.more_hosts or ((mesh.width + 1, (mesh.height + 1) // 2),)
    more = (*mesh.more_hosts, *(port for port in ports if port not in mesh.more_hosts))
    try:
        return replace(machine, mesh=replace(mesh, more_hosts=more)), ports
    except ValueError as error:
        raise TierError(f"port of a pool: {error}") from error


def _programs(options: PoolOptions, machine: Machine, model: QuantModel,
              ports: tuple[Position, ...]) -> dict[str, Program]:
    """A program for each place that is asked for; ``fallback``: without pools, if they are lost.

    All have one context, so that requests end alike.
    """
    cores = machine.mesh.cores
    plan = plan_layout(machine, model.shape, options.placement, cores, model.scheme)
    bare = map_model(machine, model, placement=plan, context=options.context) if (
        "wafer" in options.kv or options.context is None) else None
    context = options.context or (bare.context if bare is not None else 1)
    found = {"wafer": bare} if bare is not None else {}
    for place in [one for one in dict.fromkeys(options.kv) if one != "wafer"]:
        found[place] = map_model(machine, model, context=context, placement=_pooled(
            plan, place, options.rows, model.shape.head_dim, context, machine, ports))
    if options.lost is not None:
        try:
            found["fallback"] = bare or map_model(machine, model, placement=plan, context=context)
        except BlockError:      # then requests are refused when it comes to that
            pass
    return found


def _pooled(plan: LayoutPlan, place: str, rows: int, head_dim: int, context: int,
            machine: Machine, ports: tuple[Position, ...]) -> LayoutPlan:
    """The layout with pools as the members that ``place`` says."""
    alone = place == "tier"
    members = 1 if alone else plan.members + 1
    block = machine.block_tokens
    tokens = -(-context // (block * members)) * block
    return replace(
        plan, name=f"{plan.name}, K and V {'in' if alone else 'also in'} a pool",
        members=0 if alone else plan.members,
        pool=PoolPlan(ports=ports, rank=pool_rank(head_dim, tokens, rows), alone=alone))
