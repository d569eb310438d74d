"""Event counts of tokens, as the cores' counters show them: equal to the hardware's, not close."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from ouroboros.hw.params.cim import ACTIVATION_BITS
from ouroboros.hw.params.isa import SCALAR_FUNCTIONS, Op
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import Port
from ouroboros.hw.params.position import Position
from ouroboros.hw.params.timing.array import block_groups
from ouroboros.sw.perf.cycles import loaded_groups, vector_length
from ouroboros.sw.perf.walk import head_dim, injected_flits
from ouroboros.sw.program.image import Route, Stage, Token, packet_flits, unicast
from ouroboros.sw.program.program import Program

__all__ = ["token_events", "unit_events"]


def token_events(program: Program, stages: Sequence[Stage],
                 token: Token) -> dict[Position, Counter[str]]:
    """Events of one token in every core, by counter name (``hw.params.counters``, lower case).

    Configuration and readout are not in it; a token that is poisoned on its way counts as if not.
    """
    machine = program.machine
    found: dict[Position, Counter[str]] = defaultdict(Counter)

    def travel(route: Route, flits: int, kind: str, seen: set[object]) -> None:
        for core, port in route.links:
            if port is not Port.LOCAL and (core, port) not in seen:
                seen.add((core, port))
                found[core][f"flit_hops_{kind}"] += flits
        if route.target != machine.host:
            found[route.target]["flits_in"] += flits

    for target in program.embed:
        route = unicast(machine.mesh, machine.host, target.core)
        for flits in injected_flits(program, target, head_dim(stages)):
            travel(route, packet_flits(flits), "data", set())
    for stage in stages:
        core = stage.info.core
        found[core] += unit_events(machine, stage, token)
        for send in stage.sends(token.flags):
            flits = packet_flits(send.instruction.fields["flits"])
            found[core]["flits_out"] += flits
            seen: set[object] = set()
            for route in send.delivery.routes:
                travel(route, flits, "data", seen)
        for owner, _ in stage.owners:
            found[core]["flits_out"] += 1
            travel(unicast(machine.mesh, core, owner), 1, "control", set())
    return dict(found)


def unit_events(machine: Machine, stage: Stage, token: Token) -> Counter[str]:
    """Events in array unit and SFU."""
    count: Counter[str] = Counter()
    kv, tokens = stage.kv or {}, stage.local_tokens(machine, token.position)
    cim = machine.cim
    for i in stage.code:
        if not i.runs(token.flags):
            continue
        match i.op:
            case Op.MVM:
                groups = sum(min(n, cim.groups - i.fields["first_group"])
                             for n in loaded_groups(machine, stage, i))
                count["array_group_cycles"] += ACTIVATION_BITS * groups
            case Op.APPEND:
                count["kv_operations"] += 1
                block = token.position // machine.block_tokens
                if block % kv["members"] == kv["member"]:
                    count["row_writes"] += 1
                    count["byte_writes"] += kv["head_dim"]
            case Op.SCORE:
                count["kv_operations"] += 1
                groups = min(kv["k_groups"], -(-kv["head_dim"] // cim.active_rows))
                blocks = -(-tokens // machine.block_tokens)
                count["array_group_cycles"] += ACTIVATION_BITS * groups * blocks
            case Op.CONTEXT:
                count["kv_operations"] += 1
                count["array_group_cycles"] += ACTIVATION_BITS * sum(block_groups(machine, tokens))
            case Op.FREE:
                count["kv_operations"] += 1
            case Op.SFU if i.fields["fn"] not in SCALAR_FUNCTIONS:
                count["sfu_elements"] += vector_length(i, tokens)
            case _:
                pass
    return count
