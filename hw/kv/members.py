"""Which member of a KV head keeps a block: quotient and remainder by a number set once."""

from amaranth import Array, C, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.widths import MEMBER_BITS, POSITION_BITS

__all__ = ["BlockOwner", "block_index_bits"]


def block_index_bits(machine: Machine) -> int:
    """Bits of a block's number in its sequence."""
    return POSITION_BITS - exact_log2(machine.block_tokens)


class BlockOwner(wiring.Component):
    """Member that keeps block ``index`` of a sequence: ``divmod(index, members)``.

    Combinational, but ``members`` (1 to 128, static) counts one cycle later. There is no divider:
    ``index`` is multiplied by ``ceil(2**shift / members)``, looked up. The product is too large by
    less than ``index * members / 2**shift`` quotients, so with ``shift`` the bits of both together
    its whole part is exact.

    Members
    -------
    members : In(MEMBER_BITS + 1)
        Cores that share a head's tokens.
    index : In(block_index_bits(machine))
        A block's number in its sequence.
    own, turn : Out(len(index)), Out(MEMBER_BITS)
        Its number in the member that keeps it, and that member.
    """

    def __init__(self, machine: Machine):
        self._index_bits, self._most = block_index_bits(machine), 1 << MEMBER_BITS
        super().__init__({
            "members": In(MEMBER_BITS + 1), "index": In(self._index_bits),
            "own": Out(self._index_bits), "turn": Out(MEMBER_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        shift = self._index_bits + (self._most - 1).bit_length()
        table = Array(C(-(-(1 << shift) // max(n, 1)), shift + 1) for n in range(self._most + 1))
        factor = Signal(shift + 1)
        m.d.sync += factor.eq(table[self.members])
        m.d.comb += [self.own.eq((self.index * factor) >> shift),
                     self.turn.eq(self.index - self.own * self.members)]

        return m
