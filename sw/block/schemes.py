"""Which integer definitions the cores of a machine compute."""

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.limits import BlockError
from ouroboros.sw.models.scheme import R2, R, Scheme, SchemeError
from ouroboros.sw.models.shape import ModelShape

__all__ = ["check_context", "check_scheme", "residual_type"]

F_BITS = (R2.f_bits - 1, R2.f_bits)
"""Widths of the down projection's operand: a bit of the instruction says which."""


def residual_type(scheme: Scheme) -> Type:
    """Elements of the residual in the buffer and in packets."""
    return Type.I16 if scheme.residual_bits == R.residual_bits else Type.I24


def check_scheme(machine: Machine, shape: ModelShape, scheme: Scheme) -> None:
    """Refuse a scheme that the special-function unit of a core has no instructions for.

    Raises
    ------
    BlockError
        Names the field, and the machine's key where another machine would do.
    """
    if scheme == R:
        return
    # Narrower operands need a table and a clip of their own, which the unit does not have.
    for name, known, remedy in (
            ("exp_bits", (R2.exp_bits,), "quantise for at most 4,129 positions"),
            ("f_bits", F_BITS, "hidden_dim must be at most 16,529"),
            ("residual_bits", (R2.residual_bits,), "quantise to scheme R or R2"),
            ("gate", (R2.gate,), "quantise to scheme R or R2")):
        value = getattr(scheme, name)
        if value not in known:
            raise BlockError(f"{name} of the model's scheme {scheme.name} must be "
                             f"{' or '.join(map(str, known))}, what cores compute beside scheme R, "
                             f"not {value}: {remedy}")
    if machine.core.residual_bits != scheme.residual_bits:
        raise BlockError(f"core.residual_bits of machine {machine.name!r} must be "
                         f"{scheme.residual_bits} for a model of scheme {scheme.name}, not "
                         f"{machine.core.residual_bits}")
    if not shape.gated:
        raise BlockError(f"gated must be true for a model of scheme {scheme.name}, not false: "
                         f"its feed-forward layer is a gate's")


def check_context(shape: ModelShape, scheme: Scheme, context: int) -> None:
    """Refuse positions, or hidden channels, of which an int32 sum could wrap.

    Raises
    ------
    BlockError
        Names the dimension.
    """
    try:
        fitted = scheme.fitted(positions=context, hidden_dim=shape.hidden_dim)
    except SchemeError as error:
        raise BlockError(str(error)) from error
    for name, what, value in (("exp_bits", "context", context),
                              ("f_bits", "hidden_dim", shape.hidden_dim)):
        if getattr(fitted, name) != getattr(scheme, name):
            raise BlockError(f"{what} must be less than {value} for {name} = "
                             f"{getattr(scheme, name)} of scheme {scheme.name}: an int32 sum "
                             f"could wrap")
