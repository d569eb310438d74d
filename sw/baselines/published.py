"""Published throughputs that baselines are held against, without the tables of the benchmarks.

The 80 static points of LMDeploy's page, which the constants of the DGX were fitted to, are third
party's and not part of the project: give them as a file (docs/baselines.md).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ouroboros.sw.baselines.dgx_a100 import DGX_A100
from ouroboros.sw.baselines.fit import errors
from ouroboros.sw.baselines.points import Point
from ouroboros.sw.baselines.wse2 import DECODE, END_TO_END, SOURCE, WSE2
from ouroboros.sw.lib.quantities import at
from ouroboros.sw.models.shape import load_shape

__all__ = ["REQUESTS", "UNPUBLISHED", "Check", "check_dgx", "check_wse2"]

PAGE = "LMDeploy, docs/en/benchmark/a100_fp16.md"
CHAT = {"input_tokens": 246.9, "output_tokens": 232.7}
"""Means of the page's requests: total and generated tokens/s over requests/s."""
OWN = {"input_tokens": 222.7, "output_tokens": 199.5}
"""The same with InternLM's tokenizer."""


def _requests(model: str, batch: int, devices: int, rate: float, version: str,
              lengths: dict[str, float] = CHAT) -> Point:
    return Point(kind="requests", model=model, batch=batch, tensor_parallel=devices,
                 tokens_per_s=rate, source=f"{PAGE}, {version}", **lengths)


REQUESTS = (
    _requests("llama-13b", 128, 1, 1850.1, "v0.2.0"),
    _requests("llama-13b", 128, 1, 1765.8, "v0.1.0a1"),
    _requests("llama-7b", 256, 1, 3387.4, "v0.2.0"),
    _requests("internlm-20b", 128, 2, 2053.3, "v0.2.0", OWN),
    _requests("llama-2-70b", 256, 4, 1682.7, "v0.2.0"),
    _requests("llama-2-70b", 256, 4, 1533.6, "v0.1.0a1"))
"""3,000 requests of ShareGPT, a batch at once; nothing was fitted to them."""

UNPUBLISHED = {
    "tpu-v4": "no batched throughput of a model of this kind on eight TPU v4 chips is published",
    "attacc": "no batched throughput of a 13B model on DGX with AttAcc is published; its authors "
              "give ratios of simulations"}
"""Why some systems have no error."""
FITTED_TO = {"llama-13b": "fitted", "internlm-20b": "fitted (exchange)"}
"""Models whose static points the constants of the DGX come from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One published figure, or the mean error over several, beside what the model says."""

    baseline: str
    """Name."""
    what: str
    """What was measured."""
    status: str
    """``fitted``, ``held out``, or what of the model these figures decided."""
    published: float | None
    """Tokens/s; None: several figures."""
    predicted: float | None
    """The same of the model."""
    error: float
    """predicted / published - 1; of several figures, the mean of the sizes."""
    most: float
    """Largest size."""
    source: str
    """Where it is published."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def check_dgx(points: Sequence[Point] = ()) -> list[Check]:
    """The DGX on published requests, and on the points of a file by kind and model.

    Rows with several GPUs come twice: with the exchange between two GPUs, and between four.
    """
    c = DGX_A100.constants
    four = replace(DGX_A100, constants=c.with_values(
        {"exchange_us": at(c.exchange_us, "high"), "exchange_gb_s": at(c.exchange_gb_s, "low")},
        "fitted on four GPUs"))
    found = []
    for kind, model in dict.fromkeys((point.kind, point.model) for point in points):
        some = [point for point in points if (point.kind, point.model) == (kind, model)]
        ways = [(DGX_A100, FITTED_TO.get(model, "held out") if kind == "static" else "held out")]
        if model == "llama-2-70b":
            ways.append((four, "exchange refitted"))
        for devices, status in ways:
            got = errors(devices, some)
            found.append(Check(
                baseline=DGX_A100.name, what=f"{model}, {len(some)} {kind} points", status=status,
                published=None, predicted=None, error=got.mean, most=got.most,
                source=some[0].source.partition(", line")[0]))
    for point in REQUESTS:
        for devices in (DGX_A100, four)[:1 + (point.tensor_parallel > 2)]:
            [error] = errors(devices, [point]).values
            found.append(Check(
                baseline=DGX_A100.name, what=f"{point.model}, requests, batch {point.batch}",
                status="held out" if devices is DGX_A100 else "exchange refitted",
                published=point.tokens_per_s, predicted=point.tokens_per_s * (1 + error),
                error=error, most=abs(error), source=point.source))
    return found


def check_wse2() -> list[Check]:
    """WSE-2 on published decode by model, and on every published end-to-end figure."""
    found = []
    for model, rates in DECODE.items():
        got = np.array([1 / WSE2.decode_s(load_shape(model), side) / rate - 1
                        for side, rate in rates.items()])
        found.append(Check(
            baseline=WSE2.name, what=f"{model}, decode on {len(rates)} grids",
            status="fitted" if model == "llama-13b" else "held out", published=None, predicted=None,
            error=float(np.abs(got).mean()), most=float(np.abs(got).max()), source=SOURCE))
    for model, cases in END_TO_END.items():
        shape = load_shape(model)
        for (prompt, output), rate in cases.items():
            mine = output / (WSE2.prefill_s(shape, prompt) + output * WSE2.decode_s(shape))
            found.append(Check(
                baseline=WSE2.name, what=f"{model}, {prompt} in, {output} out",
                status="prefill_fixed chosen",
                published=rate, predicted=mine, error=mine / rate - 1,
                most=abs(mine / rate - 1), source=SOURCE))
    return found
