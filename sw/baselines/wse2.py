"""WSE-2 with WaferLLM: one sequence at a time, spread over all cores of a grid."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ouroboros.hw.params.load import load
from ouroboros.hw.params.values import Value
from ouroboros.sw.baselines.devices import work_of
from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.baselines.served import Energy, Served
from ouroboros.sw.baselines.traffic import Traffic
from ouroboros.sw.lib.quantities import Quantities, quantity
from ouroboros.sw.models.shape import ModelShape, load_shape

__all__ = ["DECODE", "END_TO_END", "PREFILL", "WSE2", "Wse2", "Wse2Constants"]

SOURCE = "WaferLLM, OSDI 2025 (arXiv 2502.04563v3)"
PREFILL_TOKENS = 4096
"""Length of the prompts whose prefill is published."""
MEASURED = "llama-13b"
"""Model of the constants; others scale with their weights."""

DECODE = {
    "llama-13b": {420: 2039.2, 540: 1899.4, 660: 1739.8},
    "llama-3-8b": {420: 2699.9, 540: 2501.5, 660: 2243.3},
    "codellama-34b": {420: 1450.8, 540: 1407.7, 660: 1359.2},
    "qwen2-72b": {420: 839.7, 540: 824.3, 660: 787.1}}
"""Published tokens/s of decode, by model and side of the grid; the constants are 13B's."""
PREFILL = {"llama-3-8b": 27686.5}
"""Published tokens/s of prefill beside 13B's, which is a constant."""
END_TO_END = {
    "llama-13b": {(2048, 128): 473.9, (4096, 128): 414.0, (2048, 2048): 1690.3,
                  (4096, 4096): 1826.0},
    "llama-3-8b": {(2048, 128): 764.4, (4096, 128): 604.4, (2048, 2048): 2370.3,
                   (4096, 4096): 2459.0}}
"""Published generated tokens/s, by model, prompt and output; none was fitted to."""


@dataclass(frozen=True, kw_only=True)
class Wse2Constants(Quantities):
    """The wafer, and what WaferLLM gets of it."""

    WORDS: ClassVar[str] = "constant"

    side: Value = quantity("cores")
    """Of the square of cores that decodes."""
    sram_gb: Value = quantity("GB")
    """Of the wafer, in 1e9 bytes."""
    weight_bytes: Value = quantity("B")
    """Of a weight."""
    layer_us: Value = quantity("us")
    """Of a token, for every block of the model."""
    row_ns: Value = quantity("ns")
    """Of a token and block, for every row of cores."""
    product_ns: Value = quantity("ns")
    """Of a token, for every weight of the blocks that a core holds."""
    prefill_tokens_per_s: Value = quantity("tokens/s")
    """Of a prompt of ``PREFILL_TOKENS``, model ``MEASURED``."""
    prefill_fixed: Value = quantity("1", zero=True)
    """Of its time, what a prompt of any length takes."""
    system_w: Value = quantity("W")
    """Power at full load."""
    typical_share: Value = quantity("1")
    """Of it, when idle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wse2:
    """The baseline."""

    name: str
    """By which the command line knows it."""
    title: str
    """What it is."""
    constants: Wse2Constants
    """Its figures."""

    def decode_s(self, shape: ModelShape, side: int | None = None) -> float:
        """Seconds of a token; the published figures know no context."""
        c = self.constants
        side = side or int(c.side.mid)
        return (shape.n_layers * (c.layer_us.mid * 1e-6 + side * c.row_ns.mid * 1e-9)
                + work_of(shape).body / side ** 2 * c.product_ns.mid * 1e-9)

    def prefill_s(self, shape: ModelShape, tokens: int) -> float:
        """Seconds of a prompt: in proportion to the weights, published figures beside it."""
        c = self.constants
        rate = PREFILL.get(shape.name, c.prefill_tokens_per_s.mid * work_of(
            load_shape(MEASURED)).body / work_of(shape).body)
        fixed = c.prefill_fixed.mid
        return PREFILL_TOKENS / rate * (fixed + (1 - fixed) * tokens / PREFILL_TOKENS)

    def serve(self, shape: ModelShape, traffic: Traffic) -> Served:
        """One request after the other.

        Raises
        ------
        BaselineError
            If the model is no decoder, or its weights do not fit the wafer.
        """
        c = self.constants
        if shape.kind != "decoder":
            raise BaselineError(f"kind of model {shape.name!r} must be 'decoder' for {self.name}, "
                                f"not {shape.kind!r}: only such were published")
        size = work_of(shape).memory * c.weight_bytes.mid / 1e9
        if size > c.sram_gb.mid:
            raise BaselineError(f"weights of {shape.name} must be at most {c.sram_gb.mid:g} GB "
                                f"(SRAM of {self.name}), not {size:.1f} GB")
        token = self.decode_s(shape)
        first, finish = np.empty(traffic.requests), np.empty(traffic.requests)
        now = busy = 0.0
        for n, (arrival, prompt, output) in enumerate(zip(
                traffic.arrival_s, traffic.input_tokens, traffic.output_tokens, strict=True)):
            prefill = self.prefill_s(shape, int(prompt))
            begin = max(now, float(arrival))
            # Published throughputs count all generated tokens as decode.
            first[n], now = begin + prefill + token, begin + prefill + int(output) * token
            finish[n] = now
            busy += now - begin
        seconds = now - float(traffic.arrival_s[0])
        watts = c.system_w.mid
        return Served(
            machine=self.name, model=shape.name, traffic=traffic, first_s=first, finish_s=finish,
            recomputed=0, notes={"side": int(c.side.mid), "busy_s": [busy]}, energies=(
                Energy(name="100% of full power", joules=watts * seconds, source=c.system_w.source),
                Energy(name=f"{c.typical_share.mid:.0%} of full power",
                       joules=watts * c.typical_share.mid * seconds,
                       source=c.typical_share.source)))


WSE2 = Wse2(name="wse2", title="WSE-2 with WaferLLM, one sequence at a time",
            constants=load(Wse2Constants, Path(__file__).with_suffix(".toml")))
