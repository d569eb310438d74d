"""Orthogonal matrices that spread a vector's outliers over all its channels.

A Hadamard matrix has entries of +-1 and orthogonal rows. Those of 1 and 2 and Paley's are joined by
Kronecker products, so a vector is turned factor by factor.

Ref: Paley, On Orthogonal Matrices, 1933; Ashkboos et al., QuaRot, 2024.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Rotation", "hadamard_factors", "rotation"]

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rotation:
    """An orthogonal matrix ``diag(signs) (F1 x F2 x ...)``, the product Kronecker's."""

    signs: Float64
    """+-1, (dim,)."""
    factors: tuple[Float64, ...]
    """Orthogonal matrices whose sizes multiply to dim."""

    def apply(self, rows: npt.NDArray[np.floating]) -> Float64:
        """Rows (..., dim) times the matrix."""
        found = rows.astype(np.float64) * self.signs
        sizes = [len(factor) for factor in self.factors]
        found = found.reshape(-1, *sizes)
        for axis, factor in enumerate(self.factors, 1):
            found = np.moveaxis(np.tensordot(found, factor, axes=(axis, 0)), -1, axis)
        return np.ascontiguousarray(found).reshape(rows.shape)

    def apply_left(self, matrix: npt.NDArray[np.floating]) -> Float64:
        """The transposed matrix times a matrix (dim, n): its outputs are turned."""
        return self.apply(matrix.T).T


def rotation(dim: int, seed: int | None) -> Rotation:
    """A rotation of a size: Hadamard's, or of the largest part that has one.

    The rest is the discrete cosine transform. With a seed the rows have random signs.
    """
    signs = np.ones(dim) if seed is None else (
        np.random.default_rng(seed).choice([-1.0, 1.0], size=dim))
    for rest in (n for n in range(1, dim + 1) if dim % n == 0):
        factors = hadamard_factors(dim // rest)
        if factors is not None:
            break
    parts = [factor / math.sqrt(len(factor)) for factor in factors or ()]
    if rest > 1:
        parts.append(_cosines(rest))
    return Rotation(signs=signs, factors=tuple(parts) or (np.ones((1, 1)),))


def hadamard_factors(n: int) -> tuple[Float64, ...] | None:
    """Hadamard matrices whose Kronecker product is of size n; None if none is known here."""
    orders = _orders(n)
    return None if orders is None else tuple(_base(order) for order in orders)


@functools.cache
def _orders(n: int) -> tuple[int, ...] | None:
    if n == 1:
        return ()
    if n == 2 or _paley(n):
        return (n,)
    for part in (d for d in range(2, math.isqrt(n) + 1) if n % d == 0):
        one, two = _orders(part), _orders(n // part)
        if one is not None and two is not None:
            return one + two
    return None


def _paley(n: int) -> int:
    """Which of Paley's two constructions gives size n; 0 if none."""
    if n % 4 == 0 and _prime(n - 1):
        return 1
    return 2 if n % 4 == 0 and _prime(n // 2 - 1) and (n // 2 - 1) % 4 == 1 else 0


def _base(n: int) -> Float64:
    if n == 2:
        return np.array([[1.0, 1.0], [1.0, -1.0]])
    kind = _paley(n)
    q = n - 1 if kind == 1 else n // 2 - 1
    squares = {i * i % q for i in range(1, q)}
    character = np.array([0] + [1 if i in squares else -1 for i in range(1, q)], np.float64)
    i = np.arange(q)
    conference = np.zeros((q + 1, q + 1))
    conference[0, 1:] = 1
    conference[1:, 0] = -1 if kind == 1 else 1
    conference[1:, 1:] = character[(i[:, None] - i[None]) % q]
    eye = np.eye(q + 1)
    if kind == 1:
        return conference + eye
    ones = np.array([[1.0, 1.0], [1.0, -1.0]])
    turned = np.array([[1.0, -1.0], [-1.0, -1.0]])
    return np.kron(conference, ones) + np.kron(eye, turned)


def _prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def _cosines(n: int) -> Float64:
    """Discrete cosine transform of type II, orthogonal, (n, n)."""
    row, column = np.arange(n)[:, None], np.arange(n)[None]
    found = np.cos(math.pi * (2 * column + 1) * row / (2 * n)) * math.sqrt(2 / n)
    found[0] /= math.sqrt(2)
    return found
