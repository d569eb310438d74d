"""Which member of a KV head keeps a block: quotient and remainder by a number set once."""

from amaranth import Array, C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from ouroboros.hw.lib.struct import struct
from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.packet import KV_CONFIG
from ouroboros.hw.params.widths import MEMBER_BITS, POSITION_BITS, SEQUENCE_BITS

__all__ = ["BlockOwner", "block_index_bits"]


def block_index_bits(machine: Machine) -> int:
    """Bits of a block's number in its sequence."""
    return POSITION_BITS - exact_log2(machine.block_tokens)


class BlockOwner(wiring.Component):
    """Which blocks of a sequence this member keeps: one of every ``members`` that follow.

    Block ``index`` is the ``turn``-th of ``members`` in its round ``own``:
    ``divmod(index, members)``. A member keeps the one whose turn is ``mine``, and numbers it by its
    round: ``mine`` is ``member``, or with ``ring`` ``(member - sequence) % members``, so that
    sequences begin at different members.

    Combinational, but settings (static) count one cycle later. There is no divider: a number is
    multiplied by ``ceil(2**shift / members)``, looked up. The product is too large by less than
    ``number * members / 2**shift`` quotients, so with ``shift`` the bits of both together its
    whole part is exact.

    Members
    -------
    settings : In(KV_CONFIG)
        ``members`` (1 to 128), ``member``, ``ring``.
    sequence : In(SEQUENCE_BITS)
        Below ``kv.sequences``.
    index : In(block_index_bits(machine))
        A block's number in its sequence.
    own, turn, mine : Out(len(index)), Out(MEMBER_BITS), Out(MEMBER_BITS)
        See above.
    """

    def __init__(self, machine: Machine):
        self._index_bits, self._most = block_index_bits(machine), 1 << MEMBER_BITS
        self._sequence_bits = ceil_log2(machine.kv.sequences)
        super().__init__({
            "settings": In(struct(KV_CONFIG)), "sequence": In(SEQUENCE_BITS),
            "index": In(self._index_bits),
            "own": Out(self._index_bits), "turn": Out(MEMBER_BITS), "mine": Out(MEMBER_BITS),
        })

    def elaborate(self, platform):
        m = Module()

        members, member, ring = (Signal.like(self.settings[name], name=name)
                                 for name in ("members", "member", "ring"))
        number_bits = max(self._index_bits, self._sequence_bits)
        shift = number_bits + (self._most - 1).bit_length()
        table = Array(C(-(-(1 << shift) // max(n, 1)), shift + 1) for n in range(self._most + 1))
        factor = Signal(shift + 1)
        m.d.sync += [factor.eq(table[self.settings.members]), members.eq(self.settings.members),
                     member.eq(self.settings.member), ring.eq(self.settings.ring)]
        m.d.comb += [self.own.eq((self.index * factor) >> shift),
                     self.turn.eq(self.index - self.own * members)]

        sequence, rounds, first = (Signal(self._sequence_bits), Signal(self._sequence_bits),
                                   Signal(MEMBER_BITS))
        m.d.comb += [
            sequence.eq(self.sequence), rounds.eq((sequence * factor) >> shift),
            first.eq(Mux(ring, sequence - rounds * members, 0)),
            self.mine.eq(member - first + Mux(first > member, members, 0)),
        ]

        return m
