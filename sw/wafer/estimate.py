"""A first, analytic model of a language model on the whole wafer.

Stages are those of ``sw.block``: what the mapper emits. The busiest core of every kind of one
block stands for all; the pipeline repeats the block, so the slowest kind sets the interval between
tokens, the longest path of one token the latency, and the SRAM that weights leave over the tokens
that can be alive. Averages stand where a machine model will place every core: distances, multicast
trees, die borders. Lower bounds on time, that is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ouroboros.hw.params.isa import Fn, Op
from ouroboros.hw.params.timing.control import ACCEPT_CYCLES
from ouroboros.hw.params.timing.network import CREDIT_CYCLES, HOP_CYCLES, crossing_cycles
from ouroboros.sw.block.costs import StageCost, port_loads, sends, stage_costs
from ouroboros.sw.block.latency import GraphWalk, walk_graph
from ouroboros.sw.block.schemes import residual_type
from ouroboros.sw.block.sizes import Sizes
from ouroboros.sw.block.stage import BlockStage
from ouroboros.sw.perf.cycles import holds, serial
from ouroboros.sw.program.image import Instruction, Token, packet_flits
from ouroboros.sw.wafer.cores import WaferPlacement

__all__ = ["StageTime", "Wafer"]


@dataclass(frozen=True, slots=True)
class StageTime:
    """Occupancy of one kind of stage's cores, in cycles per token."""

    name: str
    """Kind of stage."""
    cores: int
    """Cores of a block that do it."""
    units: dict[str, int]
    """Cycles by resource."""
    kv_writes: int = 0
    """The part of ``array`` that writes K and V."""
    serial: int = 0
    """One token's program without waits."""
    slots: int = 0
    """Token slots of a core."""

    @property
    def cycles(self) -> int:
        """Stage time."""
        return max(self.units.values())

    @property
    def binds(self) -> str:
        """The resource that sets it."""
        return max(self.units, key=lambda name: self.units[name])


class Wafer(WaferPlacement):
    """A model on a wafer: time. Parameters and errors are those of ``WaferPlacement``."""

    @property
    def token(self) -> Token:
        """The token that is costed: the last of its context."""
        return Token(self.context - 1)

    @cached_property
    def hops(self) -> int:
        """Links of a critical way between two stages.

        By default the side of the square that a block's cores fill.
        """
        return math.ceil(self.block_side * self.value("hops_per_block_side"))

    @property
    def block_side(self) -> float:
        """Of the square that a block's cores fill, in cores."""
        return math.sqrt((self.count.weights + self.count.kv) / self.wafer_layers)

    @property
    def way_cycles(self) -> int:
        """From the link out of a core to the link into another."""
        return (HOP_CYCLES * (self.hops + 1)
                + round(self.value("die_crossings_per_way") * crossing_cycles(self.machine.noc)))

    @cached_property
    def walk(self) -> GraphWalk:
        """One token through two blocks of the empty machine."""
        return walk_graph(self.graph, self.token, self.way_cycles)

    @cached_property
    def block_latency(self) -> dict[str, int]:
        """Cycles of one token in one block, by kind of stage, ways to the next one included."""
        ends: dict[tuple[int, str], int] = {}
        begins: dict[tuple[int, str], int] = {}
        for stage in self.graph.stages:
            key, walk = (stage.info.layer, self.kind(stage)), self.walk.stages[stage.key]
            ends[key] = max(ends.get(key, 0), walk.end)
            begins[key] = min(begins.get(key, walk.start), walk.start)
        # Norms begin when all slices have sent their sums of squares. The first block is followed
        # by another, so its end is that of all but the last; the second one's begin is theirs.
        attention = ends[1, "attention, home"]
        up = ends[0, "up/gate"]
        norm2 = begins.get((1, "norm 2"), ends[1, "projection"])
        norm1 = begins.get((0, "norm 1"), ends[0, "down"])
        return {"QKV": ends[1, "QKV"] - ends[0, "down"],
                "attention": attention - ends[1, "QKV"], "projection": norm2 - attention,
                "norm 2": ends[1, "projection"] - norm2,
                "up/gate": ends[1, "up/gate"] - ends[1, "projection"],
                "down": norm1 - up, "norm 1": ends[0, "down"] - norm1}

    @cached_property
    def latency_cycles(self) -> int:
        """Of one token, from the host and back, the machine being empty."""
        return (self.walk.result + (self.shape.n_layers - 2) * sum(self.block_latency.values())
                + (self.wafers - 1) * sum(self.crossing))

    @cached_property
    def wafer_flits(self) -> int:
        """Flits that go from one block to the next for a token, headers included."""
        return sum(packet_flits(step.instruction.fields["flits"])
                   for stage in self.graph.stages if stage.info.layer == 0
                   for step in sends(stage) if step.flow and any(
                       target in self.graph.by_key and self.graph.by_key[target].info.layer == 1
                       for target in step.flow.targets))

    @property
    def waiting_flits(self) -> int:
        """Flits of a token's residual, header included: of an encoder, on its way once more."""
        return packet_flits(Sizes(self.machine).flits(
            self.shape.dim, residual_type(self.graph.scheme)))

    @cached_property
    def crossing(self) -> tuple[int, int]:
        """Cycles of a token between two wafers: on the link, and on its way beside that."""
        clock = self.value("clock_ghz")
        sent = self.wafer_flits * self.machine.noc.flit_bits // 8 / self.value("wafer_link_gb_s")
        return math.ceil(sent * clock), math.ceil(self.value("wafer_link_ns") * clock)

    @cached_property
    def head_cycles(self) -> int:
        """The part of ``latency_cycles`` behind the last block."""
        down = [self.walk.stages[stage.key].end for stage in self.graph.stages
                if stage.info.layer == 1 and self.kind(stage) == "down"]
        return self.walk.result - max(down)

    @staticmethod
    def kind(stage: BlockStage) -> str:
        """What a stage is called in tables."""
        info = stage.info
        if info.kind == "norm":
            return {"proj": "norm 2"}.get(info.name.split(".")[-1 if info.name[-1].isalpha()
                                                               else -2], "norm 1")
        if info.kind == "kv":
            assert stage.kv is not None, "a KV core holds K and V"
            return "attention, member" if stage.kv["member"] else "attention, home"
        return {"qkv": "QKV", "proj": "projection", "up": "up/gate", "down": "down",
                "lm": "LM head", "best": "LM head, argmax", "embed": "embedding"}[info.kind]

    @cached_property
    def _costs(self) -> dict[str, tuple[int, StageCost]]:
        """Stages of a block and the head by kind: how many, and the one that costs most."""
        block = self.token.position // self.machine.block_tokens
        chosen: list[BlockStage] = []
        cores: dict[str, int] = {}
        for stage in self.graph.stages:
            info, kind = stage.info, self.kind(stage)
            if info.layer == 1 or info.kind == "embed" or (info.layer < 0 and info.kind == "norm"):
                continue
            cores[kind] = cores.get(kind, 0) + 1
            if stage.kv is not None:
                # Whoever keeps the token's own block has most tokens, and writes K and V; groups of
                # heads are alike.
                stage = replace(stage, kv=stage.kv | {"member": block % self.members})
                if cores[kind] > 1:
                    continue
            chosen.append(stage)
        worst: dict[str, StageCost] = {}
        for before, cost in zip(chosen, stage_costs(self.graph.machine, self.graph.stages,
                                                    self.token, chosen), strict=True):
            kind = self.kind(self.graph.by_key[before.key])
            if kind not in worst or cost.cycles > worst[kind].cycles:
                worst[kind] = cost
        return {kind: (cores[kind], cost) for kind, cost in worst.items()}

    @cached_property
    def times(self) -> list[StageTime]:
        """Every kind of stage, in the order of a block; then LM head and mesh."""
        back = CREDIT_CYCLES + self.way_cycles + ACCEPT_CYCLES
        found = []
        for kind in ("norm 1", "QKV", "attention, home", "attention, member", "projection",
                     "norm 2", "up/gate", "down", "LM head", "LM head, argmax"):
            if kind not in self._costs:
                continue
            cores, cost = self._costs[kind]
            key, slots = cost.stage.key, cost.stage.info.slots
            loop = self.walk.stages[key].end - self.walk.reserved[key] + back
            found.append(StageTime(kind, cores, cost.units | {"slots": -(-loop // slots)},
                                   cost.holds.kv_write, cost.serial, slots))
            if kind == "attention, home":
                found += self._attention_parts(cost)
        found.append(StageTime("mesh", 0, {"busiest link": self.link_flits}))
        if self.wafers > 1:
            found.append(StageTime("wafer link", 0, {"wafer link": self.crossing[0]}))
        return found

    @cached_property
    def link_flits(self) -> int:
        """Flits per token on the busiest link: of this model's placement, or as assumed."""
        flit_bytes = self.machine.noc.flit_bits // 8
        if self.busiest_link is not None:
            return math.ceil(self.busiest_link.load_bytes / flit_bytes)
        return math.ceil(self.value("busiest_link_share") * self.block_flits)

    @cached_property
    def block_flits(self) -> int:
        """Flits that the cores of one block send for a token, headers and credits included.

        What the members of a KV head exchange is left out: they lie side by side.
        """
        loads = port_loads(self.graph.machine, self.graph.stages)
        block = [stage for stage in self.graph.stages if stage.info.layer == 0]
        exchanged = sum(
            packet_flits(step.instruction.fields["flits"])
            for stage in block if stage.kv is not None for step in sends(stage)
            if step.flow and self.graph.by_key[step.flow.targets[0]].kv is not None)
        return sum(loads[stage.key].flits_out for stage in block) - exchanged

    def _attention_parts(self, home: StageCost) -> Iterator[StageTime]:
        """Score, softmax and context by themselves: parts of the row before."""
        image = home.stage.costed()
        for name, code in _attention_parts(image.code).items():
            held = holds(self.machine, replace(image, code=code), self.token)
            yield StageTime(f"  {name}", 0, {"array": held.array, "SFU": held.sfu_and_drain},
                            serial=serial(self.machine, image, self.token, code))

    @property
    def slowest(self) -> StageTime:
        """The kind of stage that binds."""
        return max(self.times, key=lambda time: time.cycles)

    @property
    def interval_cycles(self) -> int:
        """Least cycles between tokens."""
        return self.slowest.cycles

    @property
    def depth(self) -> int:
        """Stages that a token passes one after the other."""
        return self.shape.n_layers * len(self.block_latency) + 3

    @property
    def tokens_to_fill(self) -> int:
        """Tokens under way when the slowest stage never waits."""
        return math.ceil(self.latency_cycles / self.interval_cycles)

    @property
    def clock_hz(self) -> float:
        """Clock."""
        return self.value("clock_ghz") * 1e9

    @property
    def prefill_tokens_per_s(self) -> float:
        """A token of the prompt may follow the one before it at once."""
        return self.clock_hz / self.interval_cycles

    @property
    def prefill_s(self) -> float:
        """Time to first token of a prompt as long as the context, alone in the machine."""
        cycles = self.latency_cycles + (self.context - 1) * self.interval_cycles
        return cycles / self.clock_hz

    @property
    def decode_tokens_per_s(self) -> float:
        """All sequences that fit, each waiting for its own last token."""
        return min(self.prefill_tokens_per_s,
                   self.sequences * self.clock_hz / self.latency_cycles)

    @property
    def decode_binds(self) -> str:
        """What limits decode."""
        if self.sequences >= self.tokens_to_fill:
            return f"{self.slowest.binds} of {self.slowest.name}"
        if self.sequences == self.machine.kv.sequences:
            return "sequence ids of a KV core"
        return "KV room"

    def as_dict(self) -> dict[str, Any]:
        """Everything but the alternatives, for a file."""
        down = self.count.plan.down
        return {
            "machine": self.machine.name, "model": self.shape.name,
            "model_source": self.shape.source, "context": self.context,
            "wafers": self.wafers,
            "cores": {"all": self.machine.mesh.cores, "dead": self.dead, "edge": self.edge,
                      "spare": self.count.spares, "weights": self.count.weights,
                      "embedding": self.count.embedding, "kv": self.count.kv,
                      "unused": self.count.left_for_kv - self.count.kv,
                      "kv_members_per_head": self.members,
                      "kv_heads_per_core": self.count.kv_heads},
            "down_tiling": {"row_tiles_per_core": down.rows,
                            "column_tiles_per_core": down.columns,
                            "row_slices": down.row_slices},
            "kv_tokens": self.kv_tokens, "kv_tokens_by_bytes": self.kv_tokens_by_bytes,
            "kv_tokens_of_cores_left": self.kv_tokens_of_cores_left,
            "sequences": self.sequences,
            "busiest_link": {
                "flits": self.link_flits, "flit_bits": self.machine.noc.flit_bits,
                "source": (self.assumptions["busiest_link_share"].source
                           if self.busiest_link is None else self.busiest_link.where)},
            "substages": [{
                "name": t.name, "cores_per_block": t.cores, **t.units, "kv_writes": t.kv_writes,
                "stage_time": t.cycles, "binds": t.binds, "serial": t.serial,
                "slot_count": t.slots} for t in self.times],
            "interval_cycles": self.interval_cycles,
            "interval_binds": f"{self.slowest.binds} of {self.slowest.name}",
            "block_latency_cycles": self.block_latency,
            "latency_cycles": self.latency_cycles,
            "latency_us": self.latency_cycles / self.clock_hz * 1e6,
            "depth_substages": self.depth, "tokens_to_fill": self.tokens_to_fill,
            "prefill_tokens_per_s": self.prefill_tokens_per_s, "prefill_s": self.prefill_s,
            "decode_tokens_per_s": self.decode_tokens_per_s, "decode_binds": self.decode_binds,
            "decode_tokens_per_s_per_sequence": self.clock_hz / max(
                self.latency_cycles, self.sequences * self.interval_cycles),
            "assumptions": [{"name": name, "value": one.mid, "note": "", **one.as_dict()}
                            for name, one in self.assumptions.items()],
        }


def _attention_parts(code: tuple[Instruction, ...]) -> dict[str, tuple[Instruction, ...]]:
    """Score, softmax and context instructions of a KV core's program."""
    found: dict[str, list[Instruction]] = {"score": [], "softmax": [], "context": []}
    for i in code:
        f = i.fields
        if i.op is Op.SCORE or (i.op is Op.SFU and f["tokens"] and f["fn"] == Fn.MAC):
            found["score"].append(i)
        elif i.op is Op.CONTEXT or (i.op is Op.SFU and f["a_array"] and f["fn"] == Fn.MAC):
            found["context"].append(i)
        elif i.op is Op.SFU:
            found["softmax"].append(i)
    return {name: tuple(found[name]) for name in found}
