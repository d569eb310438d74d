"""A program written by hand: the host, two cores, three stages."""

import pytest

from ouroboros.hw.params.isa import Fn, MMode, Op, Track, Type, assemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import CREDIT_ENTRY, DEST_ENTRY, STAGE_ENTRY, Flag, Unit
from ouroboros.sw.program.program import CoreImage, EmbedTarget, Program, StageInfo, Write

TINY = load_machine("tiny")


def entry(fmt, **fields):
    """A word of ``fmt``, the fields not given 0."""
    return fmt.pack({field.name: 0 for field in fmt.fields} | fields)


@pytest.fixture
def by_hand():
    """Embed at (1, 1) sends 16 bytes to a product at (3, 2), whose result goes to the host."""
    host = TINY.host
    first = CoreImage([
        Write(Unit.PROGRAM, 0, (
            assemble(Op.WAIT, operand=0, packets=1),
            assemble(Op.SFU, fn=Fn.MAC, a_type=Type.I16, d_type=Type.I8, d_addr=4, length=16,
                     m_mode=MMode.UNITY),
            assemble(Op.SEND, dest=0, src=4, flits=1, dst=0, acquire=1),
            assemble(Op.END))),
        Write(Unit.STAGE, 0, (entry(STAGE_ENTRY, slot_count=2, credit_count=1),)),
        Write(Unit.CREDIT_LIST, 0, (entry(CREDIT_ENTRY, x=host[0], y=host[1]),)),
        Write(Unit.DEST, 0, (entry(DEST_ENTRY, x=3, y=2, stage=0, credits=1),)),
        Write(Unit.CREDIT, 0, (4,)),
    ])
    second = CoreImage([
        Write(Unit.PROGRAM, 0, (
            assemble(Op.WAIT, operand=0, packets=1),
            assemble(Op.FREE, need=Flag.FREE),
            assemble(Op.LOAD, skip=Flag.QUIET, src=0, length=16, macros=0b0011),
            assemble(Op.MVM, skip=Flag.QUIET, steps=2, macros=0b0011),
            assemble(Op.SFU, skip=Flag.QUIET, fn=Fn.MAC, a_array=1, a_type=Type.I32,
                     d_type=Type.I32, d_addr=4, length=32, m_mode=MMode.UNITY,
                     track=Track.ARGMAX, c_addr=1, release=1),
            assemble(Op.SEND, dest=0, src=1, flits=9, dst=0),
            assemble(Op.END))),
        Write(Unit.STAGE, 0, (entry(STAGE_ENTRY, slot_count=4, credit_count=1),)),
        Write(Unit.CREDIT_LIST, 0, (entry(CREDIT_ENTRY, x=1, y=1),)),
        Write(Unit.DEST, 0, (entry(DEST_ENTRY, x=host[0], y=host[1]),)),
    ])
    return Program(
        machine=TINY, placement="by hand", context=8, sequences=4, vocab_size=32, dim=16,
        images={(1, 1): first, (3, 2): second},
        embed=(EmbedTarget(core=(1, 1), stage=0, first=0, channels=16, rope_offset=-1, counter=0,
                           slots=2),),
        logit_slices=(), result_core=(3, 2),
        stages=(StageInfo("embed", "embed", -1, (1, 1), 0, 2),
                StageInfo("lm", "lm", -1, (3, 2), 0, 4)),
        roles=(), kv_blocks=0, kv_sequence_blocks=0, kv_members=1)
