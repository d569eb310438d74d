"""Designs: kinds of dies for weights and for KV, how many of each, and what a model does on them.

A design's two kinds are costed apart (``half``), so that pairs of them cost next to nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.cores import CoreCount
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.plans import kv_sharing, tiled_plan
from ouroboros.sw.defects.process import Process
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.areas import Silicon
from ouroboros.sw.search.wafer.kinds import DieKind, kind_of
from ouroboros.sw.wafer.assumptions import assumptions
from ouroboros.sw.wafer.cores import PUBLISHED_CORES, WaferOptions
from ouroboros.sw.wafer.estimate import Wafer
from ouroboros.sw.wafer.mixed import MixedWafer

__all__ = ["Design", "Dies", "Model"]


@dataclass(frozen=True, order=True, slots=True)
class Design:
    """What is chosen before places are."""

    weights: DieKind
    """Of the dies with weights."""
    kv: DieKind
    """Of the dies with K and V; if it is the same kind, any core may be either."""
    heads: int
    """KV heads of a core."""
    members: int
    """Cores that share the tokens of a core's heads."""

    @property
    def mixed(self) -> bool:
        """Whether dies are of two kinds."""
        return self.weights != self.kv


@dataclass(frozen=True, slots=True)
class Dies:
    """Dies that a design takes."""

    weights: int
    """Dies with weights; all of them if cores are of one kind."""
    kv: int
    """Dies with KV alone."""
    weight_cores: int
    """Cores that a die of weights may use."""
    kv_cores: int
    """The same of a die with KV."""
    unused: int
    """Dies with nothing."""


@dataclass(frozen=True)
class Model:
    """A model on the silicon of a wafer, at a context."""

    silicon: Silicon
    """Areas."""
    shape: ModelShape
    """The model."""
    context: int
    """Tokens that a token attends to."""
    overrides: Mapping[str, float] = field(default_factory=dict)
    """Assumptions of the wafer model with other values."""

    @property
    def base(self) -> Machine:
        """The homogeneous machine."""
        return self.silicon.base

    @cached_property
    def dies(self) -> int:
        """Dies of the wafer."""
        across, along = self.base.mesh.dies
        return across * along

    @cached_property
    def _assumed(self) -> dict[str, float]:
        return {name: one.mid for name, one in assumptions(self.overrides).items()}

    @cached_property
    def _halves(self) -> dict[tuple[DieKind, int, int, int], Wafer | str]:
        return {}

    @cached_property
    def _plans(self) -> dict[DieKind, int]:
        return {}

    @cached_property
    def _cores(self) -> dict[DieKind, int]:
        return {}

    def plan_cores(self, kind: DieKind) -> int:
        """Cores that weights and embedding take."""
        if kind not in self._plans:
            plan = tiled_plan(kind.machine(self.base), self.shape, kv_heads=1, members=1)
            self._plans[kind] = plan.weight_cores(self.shape.n_layers) + plan.embed_cores
        return self._plans[kind]

    def die_cores(self, kind: DieKind) -> int:
        """Cores of one die that a placement may use: alive, and not spare; on average."""
        if kind not in self._cores:
            across, along = self.silicon.die_mesh(kind)
            cores, assumed = across * along, self._assumed
            area = assumed["core_area_mm2"] * self.silicon.core_mm2(kind) / (
                self.silicon.base_core_mm2)
            process = Process(core_area_mm2=area,
                              density_per_cm2=assumed["defect_density_per_cm2"])
            # The wafer's edge takes the same area from any kind.
            lost = assumed["edge_cores"] / PUBLISHED_CORES if (
                self.base.mesh.cores >= PUBLISHED_CORES) else 0.0
            all_cores = cores * self.dies
            live = all_cores - math.ceil(process.expected_dead(all_cores)) - math.ceil(
                lost * all_cores)
            self._cores[kind] = live // self.dies - int(assumed["spare_cores_per_die"])
        return self._cores[kind]

    def groups(self, heads: int) -> int:
        """Groups of KV heads of the whole model."""
        return self.shape.n_layers * self.shape.n_kv_heads // heads

    def share_out(self, design: Design) -> Dies:
        """Dies of each kind.

        Raises
        ------
        SearchError
            If the wafer is too small; the message says by how much.
        """
        need = self.groups(design.heads) * design.members
        weights, kv = self.plan_cores(design.weights), need
        on_weights, on_kv = self.die_cores(design.weights), self.die_cores(design.kv)
        if not design.mixed:
            have = self._pool(design.weights)
            if weights + kv > have:
                raise SearchError(f"cores of {design.weights.name} for {self.shape.name!r} must be "
                                  f"at most {have:,}, not {weights:,} with weights and {kv:,} with "
                                  "KV")
            return Dies(self.dies, 0, on_weights, on_weights, 0)
        if on_weights <= 0 or on_kv <= 0:
            raise SearchError(f"a die of {design.kv.name} must have cores beside its spare ones")
        first, second = -(-weights // on_weights), -(-kv // on_kv)
        if first + second > self.dies:
            raise SearchError(f"dies for {self.shape.name!r} must be at most {self.dies}, not "
                              f"{first} of {design.weights.name} and {second} of {design.kv.name} "
                              f"(KV cores: {kv:,})")
        return Dies(first, second, on_weights, on_kv, self.dies - first - second)

    def _pool(self, kind: DieKind) -> int:
        """Cores of a wafer of one kind: counted as the wafer model does, not die by die."""
        across, along = self.silicon.die_mesh(kind)
        if kind != kind_of(self.base):
            return self.die_cores(kind) * self.dies
        assumed, mesh = self._assumed, self.base.mesh
        process = Process(core_area_mm2=assumed["core_area_mm2"],
                          density_per_cm2=assumed["defect_density_per_cm2"])
        edge = int(assumed["edge_cores"]) if mesh.cores >= PUBLISHED_CORES else 0
        return (across * along * self.dies - math.ceil(process.expected_dead(mesh.cores)) - edge
                - int(assumed["spare_cores_per_die"]) * self.dies)

    def most_members(self, weights: DieKind, kv: DieKind, heads: int) -> int:
        """Members that the dies left by the weights have room for; 0: not one."""
        if weights == kv:
            left = self._pool(weights) - self.plan_cores(weights)
        else:
            on_weights, on_kv = self.die_cores(weights), self.die_cores(kv)
            if on_weights <= 0 or on_kv <= 0:
                return 0
            left = (self.dies - -(-self.plan_cores(weights) // on_weights)) * on_kv
        each, most = kv_sharing(weights.machine(self.base), self.shape, max(left, 0))
        # Whoever reserves the members' slots has a counter for each; that is known of ``each``.
        return most if each == heads else max(left, 0) // self.groups(heads)

    def half(self, kind: DieKind, heads: int, members: int, context: int | None = None) -> Wafer:
        """The model as if every core were of this kind, and there were as many as it takes.

        Raises
        ------
        SearchError
            If programs do not fit such cores, or not one sequence fits them.
        """
        key = kind, heads, members, context or self.context
        if key not in self._halves:
            self._halves[key] = self._made(*key)
        found = self._halves[key]
        if isinstance(found, str):
            raise SearchError(found)
        return found

    def _made(self, kind: DieKind, heads: int, members: int, context: int) -> Wafer | str:
        machine = kind.machine(self.base)
        try:
            plan = tiled_plan(machine, self.shape, kv_heads=heads, members=members)
            count = CoreCount(
                machine=machine, shape=self.shape, plan=plan, kv_heads=heads,
                most_members=members, live=plan.cores(self.shape.n_layers), spares=0)
            found = Wafer(machine, self.shape, WaferOptions(
                context=context, overrides=dict(self.overrides)), count=count)
            # What the programs do not have room for shows only now.
            found.times  # noqa: B018
        except (BlockError, PerfError) as error:
            return f"die kind of {kind.name}: {error}"
        return found

    def on(self, design: Design, context: int | None = None) -> MixedWafer:
        """The model on a design, blocks in no place yet.

        Raises
        ------
        SearchError
            As ``half`` and ``share_out``.
        """
        self.share_out(design)
        try:
            return MixedWafer(self.half(design.weights, design.heads, design.members, context),
                              self.half(design.kv, design.heads, design.members, context))
        except PerfError as error:
            raise SearchError(str(error)) from None
