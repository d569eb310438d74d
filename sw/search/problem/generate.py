"""Instances that nobody has seen: a model, chips, and a batch of requests drawn at random."""

from dataclasses import dataclass

import numpy as np

from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.models.shape import SHAPES, load_shape
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.problem.instance import (
    DECODE,
    PREFILL,
    Energy,
    Instance,
    Kind,
    Model,
    Request,
)

__all__ = ["BATCHES", "CHIPS", "ENERGY", "LAYOUTS", "LENGTHS", "MakeOptions", "draw_batch",
           "make_instance"]

ENERGY = Energy(e_mac=0.0873, e_eltwise=0.0873, e_hop=16.0, e_dram=84.0, eltwise_per_cycle=64)
"""Of the paper's program (Gemini: 10.4 + 5.6 and 10.5 pJ a bit for hop and DRAM)."""
CHIPS: dict[str, tuple[Kind, ...]] = {
    "1k": (Kind(type="ws", rows=64, cols=16, buffer=2 << 20, e_buf=2.0),
           Kind(type="os", rows=8, cols=128, buffer=2 << 20, e_buf=2.0)),
    "4k": (Kind(type="ws", rows=128, cols=32, buffer=8 << 20, e_buf=2.6),
           Kind(type="os", rows=16, cols=256, buffer=8 << 20, e_buf=2.6)),
    "16k": (Kind(type="ws", rows=256, cols=64, buffer=32 << 20, e_buf=3.4),
            Kind(type="os", rows=32, cols=512, buffer=32 << 20, e_buf=3.4)),
    "simba": (Kind(type="ws", rows=64, cols=16, buffer=1 << 20, e_buf=2.0),)}
"""MACs of a chip; the paper's three sizes in two kinds each, and 36 of Simba's kind. Energies of
larger buffers are assumed: 1.3 times for four times the size."""
LAYOUTS = ("checker", "halves", "first")
"""Kinds alternate; left and right half; all chips of the first kind."""
BATCHES = ("prefill", "decode", "mixed", "chunked")
"""What a batch holds."""
LENGTHS: dict[str, tuple[tuple[str, float, float], tuple[str, float, float], int]] = {
    "sharegpt": (("lognormal", 78, 1.0), ("lognormal", 480, 0.8), 4096),
    "cnndm": (("gamma", 775, 4.0), ("gamma", 60, 6.0), 4096),
    "govreport": (("gamma", 8900, 3.2), ("gamma", 553, 8.0), 32768),
    "reasoning": (("gamma", 96, 1.6), ("gamma", 12684, 2.25), 32768)}
"""Input and output tokens: distribution, mean, and sigma or shape; the longest. Means are those of
the papers (Compass: ShareGPT, CNN/DM, GovReport; L3: OpenR1); shapes are assumed."""
SHORTEST = 4


def _shapes() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in SHAPES.glob("*.toml")))


@dataclass(frozen=True, kw_only=True)
class MakeOptions(Options):
    """Model, chips and batch of an instance."""

    model: str = option("llama-3-8b", names=_shapes, metavar="FILE.toml")
    """Shipped shape or path of a TOML file."""
    batch: str = option("mixed", choices=lambda: BATCHES)
    """Prompts whole; one token of each request; both; a chunk of a prompt, and one token each."""
    lengths: str = option("sharegpt", choices=lambda: tuple(LENGTHS))
    """Whose lengths of prompts and answers are drawn."""
    prefills: int = option(1, metavar="N", least=0)
    """Prompts of the batch."""
    decodes: int = option(127, metavar="N", least=0)
    """Requests that decode."""
    per_micro_batch: int = option(16, metavar="N", least=1)
    """Requests of a micro-batch."""
    chunk: int = option(512, metavar="N", least=1)
    """Tokens of a chunk."""
    columns: int = option(6, metavar="N", least=1, most=16)
    """Chips in a row."""
    rows: int = option(6, metavar="N", least=1, most=16)
    """Rows of chips."""
    chips: str = option("1k", choices=lambda: tuple(CHIPS))
    """Kinds of chips."""
    layout: str = option("checker", choices=lambda: LAYOUTS)
    """Which kind lies where."""
    link_bw: int = option(128, metavar="N", least=1)
    """Bytes per cycle of a link."""
    dram_bw: int = option(64, metavar="N", least=1)
    """Bytes per cycle of a DRAM channel."""
    dram_channels: int = option(4, metavar="N", least=1)
    """DRAM channels."""
    tiles: int = option(8, metavar="N", least=1)
    """Parts of QKV, attention and projection; they divide the KV heads."""
    ffn_tiles: int = option(32, metavar="N", least=1)
    """Parts of the feed-forward matrices."""
    blocks: int = option(1, metavar="N", least=1)
    """Blocks in a row."""
    seed: int = option(0, metavar="N", least=0)
    """Of the requests."""


def make_instance(options: MakeOptions) -> Instance:
    """The instance that options describe.

    Raises
    ------
    SearchError
        If the batch is empty, or sizes do not divide each other.
    """
    shape = load_shape(options.model)
    if shape.kind != "decoder" or shape.q_width != shape.dim:
        raise SearchError(f"{shape.name}: must be a decoder whose heads are as wide as the model "
                          "together, as the rules have no other")
    kinds = CHIPS[options.chips]
    second = len(kinds) - 1
    requests = draw_batch(options)
    step = options.per_micro_batch
    return Instance(
        name=f"{shape.name}-{options.batch}-{options.lengths}-{options.seed}",
        grid=(options.columns, options.rows), kinds=kinds,
        chip_kind=tuple(
            0 if options.layout == "first" else (x + y) % 2 * second
            if options.layout == "checker" else int(2 * x >= options.columns) * second
            for y in range(options.rows) for x in range(options.columns)),
        link_bw=options.link_bw, dram_channels=options.dram_channels, dram_bw=options.dram_bw,
        energy=ENERGY, tiles=options.tiles, ffn_tiles=options.ffn_tiles, blocks=options.blocks,
        model=Model(name=shape.name, d=shape.dim, h=shape.n_heads, kv=shape.n_kv_heads,
                    dh=shape.head_dim, dff=shape.hidden_dim, gated=int(shape.gated)),
        micro_batches=tuple(requests[n:n + step] for n in range(0, len(requests), step)))


def draw_batch(options: MakeOptions) -> tuple[Request, ...]:
    """Requests: prompts, then those that decode, longest first.

    A request that decodes is somewhere in its answer.

    Raises
    ------
    SearchError
        If there are none.
    """
    prefills = 0 if options.batch == "decode" else options.prefills
    decodes = 0 if options.batch == "prefill" else options.decodes
    if prefills + decodes == 0:
        raise SearchError(f"a batch of {options.batch} must have at least one request, not none: "
                          "give --prefills or --decodes")
    random = np.random.default_rng(options.seed)
    into, out, longest = LENGTHS[options.lengths]
    inputs = _draw(random, into, longest, prefills + decodes)
    outputs = _draw(random, out, longest, prefills + decodes)
    found: list[Request] = []
    for length in inputs[:prefills].tolist():
        if options.batch == "chunked":
            start = int(random.integers(-(-length // options.chunk))) * options.chunk
            found.append(Request(type=PREFILL, new=min(options.chunk, length - start), hist=start))
        else:
            found.append(Request(type=PREFILL, new=length, hist=0))
    position = random.random(decodes)
    history = (inputs[prefills:] + position * outputs[prefills:]).astype(int)
    return (*found, *(Request(type=DECODE, new=1, hist=one)
                      for one in sorted(history.tolist(), reverse=True)))


def _draw(random: np.random.Generator, law: tuple[str, float, float], longest: int, count: int,
          ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    kind, mean, shape = law
    drawn = random.lognormal(np.log(mean) - shape**2 / 2, shape, count) if kind == "lognormal" \
        else random.gamma(shape, mean / shape, count)
    return np.clip(drawn, SHORTEST, longest).astype(np.int64)
