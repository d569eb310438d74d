"""A pool of computing memory at an edge port of the mesh: a member of KV groups, as a core is."""

from dataclasses import dataclass

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import DATA_HEADER
from ouroboros.hw.params.pim import BURST_BYTES, PimParams
from ouroboros.hw.params.position import Position
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.block.macros import KvRoom

__all__ = ["STAGES", "PoolPlan", "pool_rank", "pool_room"]

STAGES = 1 << next(field.bits for field in DATA_HEADER.fields if field.name == "stage")
"""KV groups that a pool serves at most: a packet names one by the number of its stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolPlan:
    """Pools of a layout, one at each port; KV groups are shared out to them in turn.

    The end of a pool's link has a buffer, an SFU and tables for each of its groups, those of a core
    of the machine; K and V lie in a rank, which computes scores and sums.
    """

    ports: tuple[Position, ...]
    """Edge ports, of ``mesh.more_hosts``."""
    rank: PimParams
    """Of each pool; ``context`` is what a sequence may have of tokens there."""
    alone: bool = False
    """The only member of every group; else one more beside the cores."""

    def check(self, machine: Machine) -> None:
        """Refuse ports that the machine does not have.

        Raises
        ------
        BlockError
            Names the port.
        """
        if not self.ports:
            raise BlockError("pools must be at one port at least, not at none")
        for n, port in enumerate(self.ports):
            if port not in machine.mesh.more_hosts:
                raise BlockError(f"pool must be at one of the edge ports mesh.more_hosts of "
                                 f"machine {machine.name!r}, "
                                 f"{[list(at) for at in machine.mesh.more_hosts]}, "
                                 f"not {list(port)}")
            if port in self.ports[:n]:
                raise BlockError(f"pools must be at a port each, not two at {list(port)}")


def pool_rank(head_dim: int, tokens: int, rows: int, rank: PimParams | None = None) -> PimParams:
    """A rank for heads of ``head_dim`` and so many tokens of a sequence.

    Heads lie over as many chips as share their columns evenly, 4 at most.

    Raises
    ------
    BlockError
        If there is no such rank; says which size cannot be.
    """
    own = rank or PimParams()
    chips = next((n for n in (4, 2, 1) if n <= own.chips and head_dim % (BURST_BYTES * n) == 0), 1)
    try:
        return PimParams(
            timing=own.timing, chips=own.chips, groups=own.groups, banks=own.banks,
            columns=own.columns, rows=rows, head_chips=chips, head_dim=head_dim,
            context=-(-tokens // own.banks) * own.banks)
    except ValueError as error:
        raise BlockError(f"rank of a pool for heads of dimension {head_dim}, {tokens} tokens and "
                         f"{rows} rows: {error}") from error


def pool_room(machine: Machine, pool: PoolPlan, port: Position, *, groups: int, heads: int,
              members: int) -> KvRoom:
    """What a pool holds of each of ``groups`` KV groups of so many heads; it is the last member.

    A head of a sequence takes rows for all the tokens that it may have, as a job of the rank does.

    Raises
    ------
    BlockError
        If it cannot serve so many groups, or not hold one sequence.
    """
    rank, kv = pool.rank, machine.kv
    if groups > STAGES:
        raise BlockError(f"pool at port {port} must serve at most {STAGES} KV groups, which "
                         f"packets can name, not {groups}: attach more pools")
    rows = rank.key_rows(rank.context) + rank.value_rows(rank.context)
    sequences = rank.slots * (rank.rows // rows) // (groups * heads)
    if not sequences or rank.context < machine.block_tokens:
        raise BlockError(
            f"pool at port {port} must hold a sequence: {groups} KV groups of {heads} heads, "
            f"{rank.context} tokens (a block of {machine.block_tokens} at least), take {rows} rows "
            f"a head, and its rank has {rank.rows} rows in each of {rank.slots} slots")
    each = rank.context // machine.block_tokens
    # Macros mean nothing to a pool; what is written of them must only fit the format.
    config = {"k_macros": 0, "v_macros": 0, "k_groups": 0, "k_blocks": 0, "v_slots": 0,
              "head_dim": rank.head_dim, "heads": heads, "members": members,
              "member": members - 1, "ring": int(kv.ring), "v_stays": int(kv.v_stays)}
    return KvRoom(config, sequences * each, each)
