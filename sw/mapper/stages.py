"""Stages of a block's graph into cores: addresses in tables, weights, ways of packets."""

from dataclasses import replace

from ouroboros.hw.params.isa import FORMATS
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.graph import Graph
from ouroboros.sw.block.pool import STAGES
from ouroboros.sw.block.stage import BlockStage, StageKey, Step
from ouroboros.sw.block.tables import CONSTANTS
from ouroboros.sw.block.tensors import Param, width
from ouroboros.sw.mapper.core import CoreBuilder
from ouroboros.sw.mapper.labels import LabelAllocator
from ouroboros.sw.mapper.ways import Ways
from ouroboros.sw.mapper.weights import Weights

__all__ = ["StageWriter"]


class StageWriter:
    """Writes the stages of a graph into cores, one after the other.

    Parameters
    ----------
    graph : Graph
        What.
    ways : Ways
        Ways of unicast packets.
    weights : Weights, optional
        Values; without, weights and parameters are left out, all else is the same.
    """

    def __init__(self, graph: Graph, ways: Ways, weights: Weights | None):
        self.graph, self.ways, self.weights = graph, ways, weights
        self.machine = graph.machine
        self.cores = {core: CoreBuilder(graph.machine, core, steps=graph.steps[core])
                      for core in graph.layout.cores}
        # A stage of a pool has tables of its own, and any number that a packet can name.
        end = replace(graph.machine, core=replace(graph.machine.core, stages=STAGES))
        self.pools = {stage.key: CoreBuilder(end, stage.info.core)
                      for stage in graph.stages if stage.info.core not in self.cores}
        self.labels = LabelAllocator(graph.machine)
        self._owners: dict[StageKey, list[tuple[Position, int]]] = {
            stage.key: [] for stage in graph.stages}
        for stage in graph.stages:
            self._owners[stage.key] += [owner for owner in stage.owners
                                        if owner[0] == graph.machine.host]

    def write(self) -> None:
        """All stages.

        Raises
        ------
        BlockError
            If a table of a core is too small.
        MapperError
            If there is no way for a packet, or no label for a multicast.
        """
        code = [self._program(stage) for stage in self.graph.stages]
        for stage, words in zip(self.graph.stages, code, strict=True):
            info = stage.info
            self._builder(stage).stage(
                info.index, name=info.name, slots=info.slots, words=stage.words, code=words,
                owners=[(owner, counter, self.ways.way(info.core, owner))
                        for owner, counter in self._owners[stage.key]])

    def _builder(self, stage: BlockStage) -> CoreBuilder:
        return self.pools.get(stage.key) or self.cores[stage.info.core]

    def _program(self, stage: BlockStage) -> list[int]:
        core = self._builder(stage)
        if stage.kv is not None:
            core.macros.set_kv(stage.kv)
        for matrix, plan in stage.matrices:
            core.macros.store(plan, None if self.weights is None else self.weights.matrix(matrix))
        placed: dict[Param, tuple[int, int]] = {}
        words: list[int] = []
        for step in stage.steps:
            if step.flow is not None:
                words += self._send(stage, step)
            elif step.param is not None:
                if step.param not in placed:
                    placed[step.param] = self._param(core, step.param)
                first, shift = placed[step.param]
                words.append(self._assemble(step, param=first + step.word, shift=shift))
            else:
                words.append(self._assemble(step))
        if stage.info.kind == "up" and self.weights is not None:
            table = self.weights.silu(stage.info.layer)
            if table is not None:
                core.silu(table)
        return words

    @staticmethod
    def _assemble(step: Step, **fields: int) -> int:
        return FORMATS[step.instruction.op].pack({**step.instruction.fields, **fields})

    def _param(self, core: CoreBuilder, param: Param) -> tuple[int, int]:
        if self.weights is None:
            return core.params([0] * (CONSTANTS.get(param.name) or width(param.channels))), 0
        values, shift = self.weights.param(param)
        return core.params(values) if values else 0, shift

    def _send(self, stage: BlockStage, step: Step) -> list[int]:
        """Words of a SEND: one, or more where dead parts keep a multicast from some targets.

        The first takes the credits for all.
        """
        flow, here = step.flow, stage.info.core
        assert flow is not None, "a SEND has a flow"
        builder = self._builder(stage)
        counters = 0
        for key in flow.reserve:
            counter = builder.credit_counter(self.graph.by_key[key].info.slots)
            self._owners[key].append((here, counter))
            counters |= 1 << counter
        targets = [core for core, _ in flow.targets]
        to_host = targets == [self.machine.host]
        words = []
        for group in [tuple(targets)] if to_host else self.ways.groups(here, targets):
            many = len(group) > 1
            dest = builder.dest({
                "x": group[0][0], "y": group[0][1],
                "label": self.labels.label(here, group) if many else 0,
                "stage": 0 if to_host else flow.targets[0][1], "operand": flow.operand,
                "credits": counters, **({} if many else self.ways.dest(here, group[0]))})
            words.append(self._assemble(step, dest=dest, acquire=int(bool(counters))))
            counters = 0
        return words
