"""Weights and parameters of a model by the names that a block has for them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ouroboros.sw.block.tensors import Channels, Matrix, Param, Run
from ouroboros.sw.models.integer import (
    Norm,
    QuantLayer,
    QuantModel,
    Requant,
    SigmoidGate,
    TableGate,
)
from ouroboros.sw.models.scheme import DIGIT_BITS, SIGMOID_FRACTION_BITS

__all__ = ["Weights"]

Ints = npt.NDArray[np.integer]
MATRICES = {"q": "wq", "k": "wk", "v": "wv", "o": "wo", "gate": "w1", "up": "w3", "down": "w2"}
REQUANTS = {"q": "rq_q", "k": "rq_k", "v": "rq_v", "o": "rq_o", "gate": "rq_1", "up": "rq_3",
            "down": "rq_2"}


def _indices(channels: Iterable[Run]) -> Ints:
    """Channels, with -1 for padding."""
    return np.concatenate([np.concatenate([np.arange(run.first, run.first + run.count),
                                           np.full(run.padding, -1)]) for run in channels])


class Weights:
    """Looks up a model's numbers.

    Parameters
    ----------
    model : QuantModel
        The model.
    """

    def __init__(self, model: QuantModel):
        self.model = model

    def matrix(self, matrix: Matrix) -> Ints:
        """int8 weights, (outputs, inputs); padding is 0."""
        return np.concatenate([
            self._part(self._tensor(piece.tensor, piece.layer), piece.outputs, piece.inputs)
            for piece in matrix.pieces])

    def _tensor(self, name: str, layer: int) -> Ints:
        if name == "head":
            return self.model.head
        found: Ints = getattr(self.model.layers[layer], MATRICES[name])
        return found

    @staticmethod
    def _part(tensor: Ints, outputs: Channels, inputs: Channels) -> Ints:
        rows, columns = _indices(outputs), _indices(inputs)
        part = tensor[np.maximum(rows, 0)][:, np.maximum(columns, 0)]
        return np.where((rows[:, None] < 0) | (columns[None] < 0), 0, part).astype(np.int8)

    def param(self, param: Param) -> tuple[list[int], int]:
        """Values in the parameter memory, and the shift of the instructions that use them."""
        if param.name.startswith("norm"):
            return self._norm(param)
        if param.name == "head":
            return self._multipliers(self.model.rq_head, param.channels)
        layer: QuantLayer = self.model.layers[param.layer]
        if param.name == "exp":
            return [int(layer.me[param.channels[0].first])], layer.se
        if param.name == "high":
            return [1 << DIGIT_BITS], 0
        gate = layer.gate
        if param.name == "silu" and isinstance(gate, TableGate):
            return [gate.mf], gate.sf
        if param.name == "sigmoid" and isinstance(gate, SigmoidGate):
            return [], gate.fu - SIGMOID_FRACTION_BITS
        return self._multipliers(getattr(layer, REQUANTS[param.name]), param.channels)

    def _norm(self, param: Param) -> tuple[list[int], int]:
        norm: Norm = (self.model.norm_final if param.name == "norm_final"
                      else getattr(self.model.layers[param.layer], param.name))
        c = self.model.norm_c
        return [c & 0xFFFF, c >> 16, norm.mg, norm.sg], 0

    @staticmethod
    def _multipliers(requant: Requant, channels: Channels) -> tuple[list[int], int]:
        """Of output channels; padding has multiplier 0."""
        rows = _indices(channels)
        return np.where(rows < 0, 0, requant.m[np.maximum(rows, 0)]).tolist(), requant.s

    def silu(self, layer: int) -> Ints | None:
        """SiLU table of a block, int16[256]; None: its gate has none."""
        gate = self.model.layers[layer].gate
        return gate.silu if isinstance(gate, TableGate) else None
