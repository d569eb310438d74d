"""Which SFU instructions a machine executes; the rest has no defined effect and is refused."""

from collections.abc import Mapping

from ouroboros.hw.params.isa import BMode, Fn, MMode, Track, Type, beyond_16_bits
from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["SfuError", "check_combination"]

GATE_SHIFT_MAX = 15
"""Of GATE, whose index is u of 16 bits shifted."""


class SfuError(OuroborosError):
    """An instruction whose effect is not defined."""


def check_combination(fn: Fn, b_mode: BMode, d_type: Type, fields: Mapping[str, int],
                      residual_bits: int) -> None:
    """Refuse what a machine of ``residual_bits`` lacks, and fields that say nothing together.

    Parameters
    ----------
    fields : Mapping[str, int]
        Fields of the instruction, as ``disassemble`` gives them.
    residual_bits : int
        16 or 24, ``core.residual_bits`` of the machine.

    Raises
    ------
    SfuError
        With the field and what it must be.
    """
    if residual_bits == 16 and (name := beyond_16_bits(fields)):
        raise SfuError(f"{name}: core.residual_bits of the machine must be 24, not 16")
    plain = fn == Fn.MAC and b_mode == BMode.NONE and fields["track"] == Track.NONE
    if fields["digits"] and not ((plain or fn == Fn.EXP) and d_type == Type.I8
                                 and not fields["b_wrap"]):
        raise SfuError("digits must stand in EXP, or in MAC without B and track, with d_type "
                       f"I8 and b_wrap 0, not in {fn.name} with d_type {d_type.name}")
    if fields["less"] and (fn != Fn.MAC or fields["m_mode"] == MMode.SCALAR):
        raise SfuError("less must stand in MAC with m_mode PARAM, FIXED or UNITY, not in "
                       f"{fn.name} with m_mode {MMode(fields['m_mode']).name}")
    if fields["magnitude"] and fields["track"] != Track.MAX:
        raise SfuError("magnitude must stand beside track MAX, not "
                       f"{Track(fields['track']).name}")
    if fn == Fn.GATE and (fields["m_mode"] != MMode.UNITY or fields["shift"] > GATE_SHIFT_MAX):
        raise SfuError(f"GATE must have m_mode UNITY and a shift up to {GATE_SHIFT_MAX}, not "
                       f"{MMode(fields['m_mode']).name} and {fields['shift']}")
