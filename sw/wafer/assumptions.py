"""What the wafer model takes for granted: every value with its unit and its source.

Cycles of instructions are not here: they are those of ``hw.params.timing``, asserted of the
hardware.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ouroboros.sw.perf.errors import PerfError

__all__ = ["Assumption", "assumptions"]


@dataclass(frozen=True, slots=True)
class Assumption:
    """One value, or a statement (value 1)."""

    name: str
    """By which it can be changed."""
    value: float
    """In ``unit``."""
    unit: str
    """``yes`` for a statement."""
    source: str
    """Publication, or reason."""
    note: str = ""
    """What it means."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


_DEFAULTS = (
    Assumption("clock_ghz", 1.0, "GHz",
               "parameter: published nowhere; between 0.18-0.33 GHz of 28 nm digital CIM macros "
               "(ISSCC'22 11.6, ISSCC'23 7.4) and 1.23 GHz of a 12 nm mesh (FlooNoC, arXiv "
               "2409.17606), at a 7 nm node; sweep it",
               "One clock for cores and mesh."),
    Assumption("core_area_mm2", 3.32, "mm2",
               "derived: 215 x 215 mm / 13,923 cores (arXiv 2603.02737)",
               "All-in area of a core, for the yield."),
    Assumption("defect_density_per_cm2", 0.09, "1/cm2",
               "7 nm, Murphy: GEMINI, HPCA 2024; VLSI'19 press gives 0.11 at 5 nm",
               "Gives about 42 dead cores."),
    Assumption("edge_cores", 40, "cores",
               "ouroboros floorplan --machine wafer: 12 cores have a corner beyond the edge of a "
               "300 mm wafer, 40 reach into its outer 3 mm (floorplan/rules.toml)",
               "Dead on every wafer, of a mesh as large as the published one; beside the "
               "defects."),
    Assumption("spare_cores_per_die", 4, "cores",
               "design decision: spares that keep repairs local",
               "Hold nothing."),
    Assumption("die_link_cycles", 23, "cycles",
               "hw.noc.die_link: die_latency_cycles + 3; die_latency_cycles 20 as in BusyBarn's "
               "published model, against 1 inside a die",
               "Extra cycles of a die border."),
    Assumption("die_crossings_per_way", 1, "borders",
               "estimate: a block of 13B takes 243 cores, a die has 221",
               "Borders on a critical way between two sub-stages."),
    Assumption("hops_per_block_side", 1.0, "1",
               "estimate: mean distance in a square of side s is 2/3 s, the farthest 2 s",
               "Length of a critical way, in sides of the square that a block's cores fill."),
    Assumption("programs_are_emitted", 1, "yes",
               "sw.block: the stages that are costed here are those that sw.mapper emits, held "
               "equal by tests/sw/mapper/test_read_back.py (llama-13b's block among them), run as "
               "RTL at small scale by tests/sim/test_tiled.py; tables that do not suffice are "
               "refused",
               "Tilings: docs/tiling.md."),
    Assumption("labels_suffice", 1, "yes",
               "sw.mapper.labels: they depend on the placement; llama-13b's block along a snake "
               "takes 86 of a router's 127",
               "A router's table has room for the multicast trees that pass it."),
    Assumption("kv_to_all_members", 1, "yes",
               "a SEND has one destination list for all tokens: q, k and v go to every member of "
               "their head; block j of a sequence lies in member j mod members",
               "Members that do not keep a token's K and V drop them."),
    Assumption("kv_macros_half_k_half_v", 1, "yes", "rule of sw.block.macros",
               "Of the macros of a KV core; macros left over in weight cores hold no KV."),
    Assumption("two_copies_at_a_router", 1, "yes",
               "hw.noc.channel sends copies of a multicast packet one after the other; a tree "
               "along a column of cores has two at each router",
               "Row 'multicast': cycles of a router input per token."),
    Assumption("busiest_link_share", 0.068, "1",
               "llama-13b's tiles, placed and relieved by the commands in docs/performance.md: 383 "
               "flits of 32 bytes on the busiest link, headers and credits included, multicast on "
               "XY trees, while a block's cores send 5,627 (annealed only: 615; without dead "
               "cores 704); 0 leaves it out",
               "Flits per token on the busiest link, as a share of what a block's cores send, the "
               "exchange inside a KV head left out. No link carries more than a flit a cycle."),
    Assumption("no_network_contention", 1, "yes",
               "not modelled: waiting of packets for each other below a full link",
               "A lower bound on time."),
    Assumption("units_overlap_perfectly", 1, "yes",
               "RTL of stories260K on machine small took 1.09 times the predicted prefill "
               "(docs/performance.md)",
               "The interval is the largest occupancy of any unit."),
    Assumption("host_is_fast", 1, "yes",
               "472 edge ports; embedding rows of one token are 369 flits in all",
               "Injection and sampling take no time; embedding slices are like down cores."),
    Assumption("greedy", 1, "yes", "argmax on the machine; logits are not streamed", ""),
    Assumption("all_tokens_at_the_context", 1, "yes",
               "every token is costed as the last of its context",
               "Prefill is therefore pessimistic by the shorter contexts of its first tokens."),
    Assumption("no_energy", 1, "yes", "out of scope of this model", ""),
)


def assumptions(overrides: Mapping[str, float]) -> dict[str, Assumption]:
    """All assumptions, some with other values.

    Raises
    ------
    PerfError
        If one does not exist, is a statement, or is given a value that it cannot have.
    """
    found = {assumption.name: assumption for assumption in _DEFAULTS}
    changeable = [name for name, a in found.items() if a.unit != "yes"]
    for name, value in overrides.items():
        if name not in changeable:
            raise PerfError(f"assumption must be one of {changeable}, not {name!r}")
        if not value >= 0 or (name == "clock_ghz" and not value):
            raise PerfError(f"{name} must be positive, not {value!r}")
        found[name] = replace(found[name], value=value, source=f"given by the user; "
                              f"default {found[name].value} {found[name].unit}: "
                              f"{found[name].source}")
    return found
