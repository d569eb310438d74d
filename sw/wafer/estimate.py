"""A first, analytic model of a language model on the whole wafer.

Every sub-stage of a block is one representative core (``sw.perf.block``); the pipeline repeats the
block, so the slowest sub-stage sets the interval between tokens, the sum of all the latency, and
the SRAM that weights leave over the tokens that can be alive. Averages stand where a machine model
will place every core: distances, multicast trees, die borders. Lower bounds on time, that is.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ouroboros.hw.params.timing.control import ACCEPT_CYCLES
from ouroboros.hw.params.timing.network import (
    ARRIVE_CYCLES,
    CREDIT_CYCLES,
    HOP_CYCLES,
    LEAVE_CYCLES,
)
from ouroboros.sw.perf.block import attention_parts
from ouroboros.sw.perf.substage import SubStage
from ouroboros.sw.wafer.cores import WaferOptions, WaferPlacement

__all__ = ["SubStageTime", "Wafer", "WaferOptions"]

LINK_REFERENCE_DIM = 5120
"""Width of the model that the assumption ``busiest_link_flits`` is about."""


@dataclass(frozen=True, slots=True)
class SubStageTime:
    """Occupancy of one sub-stage's cores, in cycles per token."""

    name: str
    """Sub-stage."""
    cores: int
    """Cores of a block that do it."""
    units: dict[str, int]
    """Cycles by resource."""
    kv_writes: int
    """The part of ``array`` that writes K and V."""
    serial: int
    """One token's program without waits."""
    slots: int
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

    def _time(self, stage: SubStage, loop: int = 0) -> SubStageTime:
        slots = stage.slots(self.machine)
        return SubStageTime(
            stage.name, stage.cores, self.units(stage) | {"slots": -(-loop // slots)},
            stage.holds(self.machine, self.token).kv_write, sum(self._parts(stage)), slots)

    def _parts(self, stage: SubStage) -> list[int]:
        return [stage.serial(self.machine, self.token, n) for n in range(len(stage.parts))]

    @cached_property
    def hops(self) -> int:
        """Links of a critical way between two sub-stages.

        By default the side of the square that a block's cores fill.
        """
        block = (self.weight_cores + self.kv_cores) / self.shape.n_layers
        return math.ceil(math.sqrt(block) * self.value("hops_per_block_side"))

    @cached_property
    def transit(self) -> int:
        """Cycles from the end of a SEND to the start at the receiver."""
        return (LEAVE_CYCLES + ARRIVE_CYCLES + HOP_CYCLES * (self.hops + 1)
                + self._crossing)

    @property
    def _crossing(self) -> int:
        return round(self.value("die_crossings_per_way") * self.value("die_link_cycles"))

    @cached_property
    def block_latency(self) -> dict[str, int]:
        """Cycles of one token in one block, by sub-stage, ways to the next one included."""
        way, parts = self.transit, self._parts
        root1, root2 = (parts(root)[0] for root in self.roots)
        exchanges = [way if tiling.row_slices > 1 else 0
                     for tiling in (self.proj_tiling, self.down_tiling)]
        # Up to the sum of squares, then from the norm's scale on.
        *sums, proj_norm, _ = parts(self.proj)
        *down_sums, down_norm, _ = parts(self.down)
        if self.member is None:
            attending = parts(self.home)[0] + way
        else:
            home, member = parts(self.home), parts(self.member)
            attending = member[0] + home[1] + member[1] + home[3] + 4 * way
        return {"QKV": parts(self.qkv)[0] + way, "attention": attending,
                "projection": sum(sums) + exchanges[0] + way,
                "norm 2": root2 + proj_norm + 2 * way, "up/gate": parts(self.up)[0] + way,
                "down": sum(down_sums) + exchanges[1] + way,
                "norm 1": root1 + down_norm + 2 * way}

    @cached_property
    def latency_cycles(self) -> int:
        """Of one token, from the host and back, the machine being empty."""
        block = self.block_latency
        head = (self._parts(self.head)[0] + self._parts(self.head_root)[0] + 2 * self.transit)
        return block["norm 1"] + self.shape.n_layers * sum(block.values()) + head

    @cached_property
    def times(self) -> list[SubStageTime]:
        """Every sub-stage, in the order of a block; then LM head and mesh."""
        block = self.block_latency
        back = CREDIT_CYCLES + HOP_CYCLES * (self.hops + 1) + self._crossing + ACCEPT_CYCLES

        def alone(stage: SubStage, exchanges: int = 0) -> SubStageTime:
            loop = self.transit * (1 + exchanges) + sum(self._parts(stage)) + back
            return self._time(stage, loop)

        proj = sum(block[name] for name in ("QKV", "attention", "projection", "norm 2"))
        downs = sum(block[name] for name in ("up/gate", "down", "norm 1"))
        found = [alone(self.roots[0]), alone(self.qkv),
                 alone(self.home, 2 if self.member else 0), *self._attention_parts(),
                 *([alone(self.member, 2)] if self.member else []),
                 self._time(self.proj, self.transit + proj + back),
                 alone(self.roots[1]), alone(self.up),
                 self._time(self.down, self.transit + downs + back),
                 alone(self.head), alone(self.head_root)]
        return [*found, SubStageTime("mesh", 0, {"busiest link": self.link_flits}, 0, 0, 0)]

    @property
    def link_flits(self) -> int:
        """Flits per token on the busiest link: of this model's placement, or scaled by width."""
        flits = self.value("busiest_link_flits")
        if self.busiest_link is None:
            flits *= self.shape.dim / LINK_REFERENCE_DIM
        return math.ceil(flits)

    def _attention_parts(self) -> list[SubStageTime]:
        """Score, softmax and context by themselves: parts of the row before."""
        found = []
        for name, code in attention_parts(self.home).items():
            stage = replace(self.home, name=f"  {name}", cores=0, parts=(code,))
            time = self._time(stage)
            units = {unit: time.units[unit] for unit in ("array", "SFU")}
            found.append(replace(time, units=units, slots=0))
        return found

    @property
    def slowest(self) -> SubStageTime:
        """The sub-stage that binds."""
        return max(self.times, key=lambda time: time.cycles)

    @property
    def interval_cycles(self) -> int:
        """Least cycles between tokens."""
        return self.slowest.cycles

    @property
    def depth(self) -> int:
        """Physical sub-stages that a token passes."""
        return self.shape.n_layers * len(self.block_latency) + 3

    @property
    def tokens_to_fill(self) -> int:
        """Tokens under way when the slowest sub-stage never waits."""
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
            return "rows of the page table"
        return "KV room"

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {
            "machine": self.machine.name, "model": self.shape.name,
            "model_source": self.shape.source, "context": self.context,
            "cores": {"all": self.machine.mesh.cores, "dead": self.dead, "edge": self.edge,
                      "spare": self.spare,
                      "weights": self.weight_cores, "embedding": self.embed_cores,
                      "kv": self.kv_cores,
                      "unused": self.kv_cores_left - self.kv_cores,
                      "kv_members_per_head": self.members, "kv_heads_per_core": self.kv_heads},
            "down_tiling": {"row_tiles_per_core": self.down_tiling.rows,
                            "column_tiles_per_core": self.down_tiling.columns,
                            "row_slices": self.down_tiling.row_slices},
            "kv_tokens": self.kv_tokens, "kv_tokens_by_bytes": self.kv_tokens_by_bytes,
            "kv_tokens_of_cores_left": self.kv_tokens_of_cores_left,
            "sequences": self.sequences,
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
            "assumptions": [a.as_dict() for a in self.assumptions.values()],
        }
