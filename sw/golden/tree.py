"""What the adder tree of a core computes."""

import numpy as np
import numpy.typing as npt

from ouroboros.sw.golden.macro import wrap32

__all__ = ["tree_sum"]


def tree_sum(leaves: npt.ArrayLike, mask: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Sum of the masked leaves, modulo 2**32.

    Parameters
    ----------
    leaves : array
        (macros, lanes) int32.
    mask : array
        (macros,) bool.

    Returns
    -------
    array
        (lanes,) int32.
    """
    values, live = np.asarray(leaves), np.asarray(mask)
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise ValueError(f"leaves must be (macros, lanes) integers, not {values.shape} "
                         f"{values.dtype}")
    if live.shape != values.shape[:1] or live.dtype != np.bool_:
        raise ValueError(f"mask must be ({len(values)},) bool, not {live.shape} {live.dtype}")
    if values.size and (values.min() < -2**31 or values.max() >= 2**31):
        raise ValueError(f"leaves must be within int32, not {values.min()} to {values.max()}")
    return wrap32(values[live].astype(np.int64).sum(axis=0))
