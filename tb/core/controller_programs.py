"""Stage programs and tokens at random for a controller, such that none of them stands for ever."""

import random
from dataclasses import dataclass

from ouroboros.hw.params.core import OPERANDS
from ouroboros.hw.params.isa import FORMATS, INSTRUCTION_BITS, Op
from ouroboros.hw.params.packet import Flag
from ouroboros.tb.core.controller_golden import Token

__all__ = ["Program", "Traffic", "filled", "random_program"]

Packets = tuple[tuple[int, int], ...]
"""Operand and flags of each."""
LATE = (0, 0, int(Flag.STREAM), int(Flag.QUIET))
"""Flags that packets may bring at any time: both parts of a LOAD and MVM look at FREE only."""
LENGTH = 8
"""Instructions between the first WAIT and the END, at least."""
COMPUTE = (Op.SFU, Op.SFU, Op.SEND, Op.SEND, Op.LOAD, Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE)
MANY = 0.04
"""Part of the WAITs that are for many packets."""


@dataclass(frozen=True, slots=True)
class Program:
    """Of a stage."""

    words: tuple[int, ...]
    """Instructions."""
    waits: tuple[tuple[int, int], ...]
    """Operand and packets of each WAIT, in order; the operands differ."""


def filled(rng: random.Random, op: Op, **fields: int) -> int:
    """An instruction with these fields, and any bits wherever the controller looks at none."""
    fmt = FORMATS[op]
    blank = {"skip": 0, "need": 0} | ({"release": 0} if op == Op.SFU else {})
    blank |= {"flits": rng.randrange(4)} if op == Op.SEND else {}
    word = fmt.pack(fmt.unpack(rng.getrandbits(fmt.bits)) | blank | {"op": op} | fields)
    return word | rng.getrandbits(INSTRUCTION_BITS - fmt.bits) << fmt.bits


def random_program(rng: random.Random) -> Program:
    """WAIT, some instructions with conditions, END; an array that is locked is always freed."""
    operands = rng.sample(range(OPERANDS), rng.randrange(1, OPERANDS + 1))
    waits = [(operand, rng.choice((40, 90, 200)) if rng.random() < MANY else rng.randrange(1, 4))
             for operand in operands]
    wait = [filled(rng, Op.WAIT, operand=operand, packets=packets) for operand, packets in waits]
    words, later, locked = [wait[0]], wait[1:], 0
    while later or len(words) < LENGTH:
        if later and (len(words) >= LENGTH or rng.random() < 0.3):
            words.append(later.pop(0))
            continue
        op = rng.choice(COMPUTE)
        conditions = {"skip": int(rng.choice(LATE) | rng.choice((0, Flag.POISON, Flag.FREE))),
                      "need": int(rng.choice((0, 0, *LATE)))}
        if op == Op.SFU:
            words.append(filled(rng, op, **conditions))
        elif op == Op.SEND:
            words.append(filled(rng, op, dest=rng.randrange(4), acquire=rng.randrange(2),
                                **conditions))
        elif locked or op == Op.LOAD:
            # Other instructions of the array would wait for the MVM that comes after them.
            if op == Op.LOAD and not locked:
                locked = rng.choice((0, int(Flag.FREE))) | 1 << 8
            words.append(filled(rng, Op.LOAD if op == Op.LOAD else Op.MVM, skip=locked & 0xF))
            locked = locked if op == Op.LOAD else 0
        else:
            words.append(filled(rng, op, **conditions))
    if locked:
        words.append(filled(rng, Op.MVM, skip=locked & 0xF))
    return Program((*words, filled(rng, Op.END)), tuple(waits))


class Traffic:
    """Tokens for the stages of a core.

    Parameters
    ----------
    programs : sequence of Program
        By stage.
    sequences, positions : int
        How many there are.
    """

    def __init__(self, rng: random.Random, programs: list[Program], sequences: int,
                 positions: int):
        self.left = 0
        """Tokens that are still to come."""
        self._rng, self._programs = rng, programs
        self._sequences, self._positions = sequences, positions
        self._names: set[Token] = set()
        self._last: Token = (0, 0, 0)

    def token(self) -> tuple[Token, Packets]:
        """A name that was not there before, often near the last one, and its packets."""
        rng, name = self._rng, self._last
        self._names.add(name)
        while name in self._names:
            stage, sequence, position = (
                self._last if rng.random() < 0.7 else
                (0, rng.randrange(self._sequences), rng.randrange(self._positions)))
            part, stage = rng.randrange(3), rng.randrange(len(self._programs))
            if part == 1:
                sequence ^= 1 << rng.randrange((self._sequences - 1).bit_length())
            elif part == 2:
                position ^= 1 << rng.randrange((self._positions - 1).bit_length())
            name = stage, sequence, position
        self._last = name
        first, *others = self._programs[name[0]].waits
        free = int(Flag.FREE) * (rng.random() < 0.2)
        packets = [(first[0], rng.choice(LATE) | (free if n == 0 else 0)) for n in range(first[1])]
        packets += [(operand, rng.choice(LATE)) for operand, count in others for _ in range(count)]
        rng.shuffle(packets)
        return name, tuple((operand, int(flags)) for operand, flags in packets)
