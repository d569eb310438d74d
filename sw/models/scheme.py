"""The fields in which one integer definition of a decoder differs from another."""

from dataclasses import dataclass, replace
from enum import StrEnum

from ouroboros.sw.lib.errors import OuroborosError

__all__ = ["DIGIT_BITS", "R2", "SCHEMES", "SIGMOID_FRACTION_BITS", "Gate", "R", "Scheme",
           "SchemeError"]

DIGIT_BITS = 6
"""Of the low digit of an operand that takes two passes of the int8 array."""
SIGMOID_FRACTION_BITS = 5
"""Of the gate as it indexes the table of sigmoids."""
_OPERAND_BITS = (7, 12)
"""An unsigned operand of one pass, and of two digits: the high one is 6 bits as well."""
_SUM_MAX = 2**31
"""No sum of products may reach it: partial sums are int32."""
_WEIGHT_MAX = 127


class SchemeError(OuroborosError):
    """A scheme that no datapath computes."""


class Gate(StrEnum):
    """How the feed-forward layer's gate is computed (step 9 of docs/numerics.md)."""

    TABLE = "table"
    """SiLU of an int8 gate from a table of the layer; one static scale for the product."""
    SIGMOID = "sigmoid"
    """Sigmoid of an int16 gate from the one fixed table; a power of two for each token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheme:
    """One integer definition; docs/numerics.md says what each field changes.

    Raises
    ------
    SchemeError
        If a field has no meaning, or none beside another.
    """

    residual_bits: int
    """Width of the residual stream: 16 or 24."""
    exp_bits: int
    """Width of the softmax's exponentials, 7 to 12; above 7 they take two passes of the array."""
    f_bits: int
    """Width of the product that the down projection takes, signed, 8 to 12; above 8 it takes two
    passes of the array."""
    gate: Gate
    """How that product is made."""

    def __post_init__(self) -> None:
        low, high = _OPERAND_BITS
        for name, known in (("residual_bits", (16, 24)), ("exp_bits", range(low, high + 1)),
                            ("f_bits", range(low + 1, high + 1)), ("gate", tuple(Gate))):
            value = getattr(self, name)
            if value not in known:
                raise SchemeError(f"{name} must be one of {[*map(str, known)]}, not {value!r}")
        if self.gate == Gate.TABLE and self.f_bits != low + 1:
            raise SchemeError(f"f_bits must be {low + 1} where the gate is a table, "
                              f"not {self.f_bits}")

    @property
    def f_max(self) -> int:
        """Largest magnitude of the down projection's operand."""
        return (1 << (self.f_bits - 1)) - 1

    @property
    def exponent_max(self) -> int:
        """Largest exponent of a token: products of gate and up are at most 2**30."""
        return 0 if self.gate == Gate.TABLE else 31 - (self.f_bits - 1)

    @property
    def residual_limits(self) -> tuple[int, int]:
        """Smallest and largest value of the residual stream."""
        # 24 bits are clipped to a symmetric range, 16 bits to the whole one.
        top = (1 << (self.residual_bits - 1)) - 1
        return (-top - 1 if self.residual_bits == 16 else -top), top

    def fitted(self, *, positions: int, hidden_dim: int) -> "Scheme":
        """The scheme with operands narrowed until no int32 sum over them can wrap.

        Raises
        ------
        SchemeError
            If the narrowest are too wide; the message begins with the dimension.
        """
        exp_bits, f_bits = self.exp_bits, self.f_bits
        for name, value in (("seq_len", positions), ("hidden_dim", hidden_dim)):
            if value * _WEIGHT_MAX**2 >= _SUM_MAX:
                raise SchemeError(f"{name} must be at most {(_SUM_MAX - 1) // _WEIGHT_MAX**2}, or "
                                  f"an int32 sum could wrap, not {value}")
        while (2**exp_bits - 1) * _WEIGHT_MAX * positions >= _SUM_MAX:
            exp_bits -= 1
        while (2**(f_bits - 1) - 1) * _WEIGHT_MAX * hidden_dim >= _SUM_MAX:
            f_bits -= 1
        return replace(self, exp_bits=exp_bits, f_bits=f_bits)

    @property
    def positions_max(self) -> int:
        """Positions over which no sum of exponentials as wide as these can wrap."""
        return (_SUM_MAX - 1) // (((1 << self.exp_bits) - 1) * _WEIGHT_MAX)

    @property
    def name(self) -> str:
        """``R``, ``R2``, or what differs from R2."""
        if self == R:
            return "R"
        changed = [f"{field}={getattr(self, field)}" for field in self.__slots__
                   if getattr(self, field) != getattr(R2, field)]
        return " ".join(["R2", *changed])


R = Scheme(residual_bits=16, exp_bits=7, f_bits=8, gate=Gate.TABLE)
"""For small models: one pass of the array for every matrix."""
R2 = Scheme(residual_bits=24, exp_bits=12, f_bits=12, gate=Gate.SIGMOID)
"""For real models, whose residual has outliers."""
SCHEMES = {"R": R, "R2": R2}
"""By the name that a user gives."""
