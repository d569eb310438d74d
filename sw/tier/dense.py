"""Dense layers on GPUs: the roofline of AttAcc's simulator, with waves of blocks.

Ref: AttAcc, ASPLOS 2024, github.com/scale-snu/attacc_simulator: tiles of a product are those that
read least at most processors; its time is the longer of arithmetic and memory, both over the share
of processors that the waves keep busy.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.tier.constants import Constants
from ouroboros.sw.tier.errors import TierError

__all__ = ["Dense", "check_split"]

SIDES = (8, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512)
"""Of a block's tile."""
DEPTH = 32
"""Of a block's tile, in elements of the sum."""
EXACT = 256
"""Tokens from which times are those of the next multiple of ``DEPTH``."""

Seconds = npt.NDArray[np.float64]


def check_split(shape: ModelShape, gpus: int) -> None:
    """Refuse a model that this number of GPUs cannot share."""
    if shape.kind != "decoder":
        raise TierError(f"kind of model {shape.name!r} must be 'decoder' for a memory tier, not "
                        f"{shape.kind!r}")
    if shape.n_heads % gpus or shape.hidden_dim % gpus:
        raise TierError(f"tensor_parallel must divide heads ({shape.n_heads}) and hidden_dim "
                        f"({shape.hidden_dim}) of {shape.name}, not {gpus}")


@dataclass(frozen=True)
class Dense:
    """Blocks of a model, cut over GPUs.

    Raises
    ------
    TierError
        If the model cannot be cut so.
    """

    shape: ModelShape
    """The model."""
    gpus: int
    """That it is cut over."""
    constants: Constants
    """What they are."""

    def __post_init__(self) -> None:
        check_split(self.shape, self.gpus)

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """(outputs, inputs) of the matrices of a block on one GPU."""
        s, n = self.shape, self.gpus
        width = (s.q_width + 2 * s.kv_width) // n
        ways = 2 if s.gated else 1
        return ((width, s.dim), (s.dim, s.q_width // n),
                *[(s.hidden_dim // n, s.dim)] * ways, (s.dim, s.hidden_dim // n))

    def busy(self, tokens: int, outputs: int, inputs: int) -> float:
        """Share of processors that a product's waves keep busy."""
        c = self.constants
        size, room = c.of("element_bytes"), c.of("tile_kib") * 1024
        best = (math.inf, 1.0)
        for rows in SIDES:
            for columns in SIDES:
                m, n = min(rows, tokens), min(columns, outputs)
                if ((m + n) * DEPTH + m * n) * size > room:
                    continue
                blocks = math.ceil(tokens / m) * math.ceil(outputs / n)
                share = blocks / (math.ceil(blocks / c.of("processors")) * c.of("processors"))
                read = (math.ceil(outputs / n) * tokens * inputs
                        + math.ceil(tokens / m) * outputs * inputs + tokens * outputs)
                best = min(best, (read / share**2, share), key=lambda pair: pair[0])
        return best[1]

    def product_s(self, tokens: int, outputs: int, inputs: int) -> float:
        """Time of a product."""
        c = self.constants
        share = self.busy(tokens, outputs, inputs)
        flops = 2 * tokens * outputs * inputs / (c.of("peak_tflops") * 1e12 * c.of("flops_share"))
        read = (tokens * inputs + outputs * inputs + tokens * outputs) * c.of("element_bytes")
        return max(flops, read / self.memory_bytes_per_s) / share

    @property
    def memory_bytes_per_s(self) -> float:
        """Of one GPU."""
        return self.constants.of("bandwidth_gb_s") * 1e9 * self.constants.of("bandwidth_share")

    def exchange_s(self, size: float) -> float:
        """Sum of a vector of ``size`` bytes over the GPUs."""
        c, part = self.constants, size / self.gpus
        step = max(c.of("exchange_us") * 1e-6 + c.of("exchange_ns_b") * 1e-9 * part,
                   part / (c.of("nvlink_gb_s") * 1e9))
        return (self.gpus - 1) * step

    def small_s(self, tokens: int) -> float:
        """Activation, two norms, two sums over GPUs."""
        c, s, size = self.constants, self.shape, self.constants.of("element_bytes")
        slower = c.of("reference_gb_s") / c.of("bandwidth_gb_s")
        hidden = tokens * (s.hidden_dim // self.gpus) * size * (3 if s.gated else 2)
        found = c.of("activation_us") + c.of("activation_us_b") * slower * hidden
        found += 2 * (c.of("norm_us") + c.of("norm_us_b") * slower * 3 * tokens * s.dim * size)
        return found * 1e-6 + 2 * self.exchange_s(tokens * s.dim * size)

    def block_s(self, tokens: int) -> float:
        """Time of a block for so many tokens; 0 for none."""
        if tokens <= 0:
            return 0.0
        whole = tokens if tokens < EXACT else math.ceil(tokens / DEPTH) * DEPTH
        return sum(self.product_s(whole, *one) for one in self.products) + self.small_s(tokens)

    def table(self, most: int) -> Seconds:
        """``(most + 1,)``: seconds of a block by tokens."""
        found = np.zeros(most + 1)
        for tokens in range(1, most + 1):
            whole = tokens if tokens < EXACT else math.ceil(tokens / DEPTH) * DEPTH
            found[tokens] = self._products_s(whole) + self.small_s(tokens)
        return found

    @cached_property
    def _known(self) -> dict[int, float]:
        return {}

    def _products_s(self, tokens: int) -> float:
        if tokens not in self._known:
            self._known[tokens] = sum(self.product_s(tokens, *one) for one in self.products)
        return self._known[tokens]

    @property
    def weight_bytes(self) -> float:
        """Of all GPUs together: every matrix, embedding included."""
        return self.shape.parameters * self.constants.of("element_bytes")

    @property
    def block_bytes(self) -> float:
        """Of all blocks: what a step reads."""
        return self.shape.n_layers * self.shape.block_bytes * self.constants.of("element_bytes")
