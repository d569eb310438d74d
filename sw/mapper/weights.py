"""Weights and parameters of a model by the names that a block has for them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ouroboros.sw.block.tensors import Channels, Matrix, Param, Run
from ouroboros.sw.mapper.limits import MapperError
from ouroboros.sw.models.integer import Norm, QuantLayer, QuantModel, Requant, TableGate
from ouroboros.sw.models.scheme import R

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

    Raises
    ------
    MapperError
        If the model is of a scheme that the machine does not compute.
    """

    def __init__(self, model: QuantModel):
        if model.scheme != R:
            raise MapperError(f"model must be of scheme {R.name}, which the special-function unit "
                              f"computes, not {model.scheme.name}: quantise it to that")
        self.model = model
        self._gates = [layer.gate for layer in model.layers if isinstance(layer.gate, TableGate)]

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
        if param.name == "silu":
            return [self._gates[param.layer].mf], self._gates[param.layer].sf
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

    def silu(self, layer: int) -> Ints:
        """SiLU table of a block, int16[256]."""
        return self._gates[layer].silu
