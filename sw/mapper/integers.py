"""The integer model of a checkpoint that a machine's programs take: its scheme, its positions."""

import logging
from dataclasses import replace

from ouroboros.hw.params.machine import Machine
from ouroboros.sw.block.layout import layout
from ouroboros.sw.block.plans import PLACEMENTS, plan_layout
from ouroboros.sw.models.integer import QuantModel
from ouroboros.sw.models.scheme import R2, SCHEMES, R, Scheme
from ouroboros.sw.quantise.source import ModelSource

__all__ = ["integer_model", "scheme_of", "taken_positions"]

_logger = logging.getLogger(__name__)


def scheme_of(machine: Machine) -> Scheme:
    """The widest scheme that a machine's cores compute."""
    return R2 if machine.core.residual_bits == R2.residual_bits else R


def taken_positions(source: ModelSource, scheme: Scheme) -> int:
    """Longest sequence for which the scheme's exponentials keep the width that cores compute."""
    return min(source.checkpoint.shape.seq_len, scheme.positions_max)


def integer_model(source: ModelSource, machine: Machine, scheme: str | None = None, *,
                  placement: str | None = None) -> QuantModel:
    """Quantise for a machine; whether tables and memories suffice is the mapper's to say.

    A warning is logged where the model knows more positions than programs take.

    Parameters
    ----------
    scheme : str, optional
        A name of ``sw.models.scheme.SCHEMES``; by default that of ``scheme_of``.
    placement : str, optional
        If it is a layout's name, its cores are counted before the work.

    Raises
    ------
    OuroborosError
        If the machine has too few cores, or the checkpoint no such integer model.
    """
    wanted = scheme_of(machine) if scheme is None else SCHEMES[scheme]
    known, taken = source.checkpoint.shape.seq_len, taken_positions(source, wanted)
    if taken < known:
        _logger.warning("Warning: %s: sequences are of at most %s positions in scheme %s, not %s: "
                        "sums of %s-bit exponentials over more could wrap", source.path,
                        f"{taken:,}", wanted.name, f"{known:,}", wanted.exp_bits)
    if placement in PLACEMENTS:
        shape = replace(source.checkpoint.shape, seq_len=taken)
        layout(machine, shape, plan_layout(
            machine, shape, placement, machine.mesh.cores,
            wanted.fitted(positions=taken, hidden_dim=shape.hidden_dim)))
    return source.quantised(scheme=wanted.name, positions=None if taken == known else taken)
