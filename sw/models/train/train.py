"""Trains the checkpoint that ships with the project: a small LLaMA, written in llama2.c's format.

Needs PyTorch, which nothing else in the project does: ``pip install -e .[train]``.

Ref: Touvron et al., LLaMA: Open and Efficient Foundation Language Models, 2023, section 2.2.
"""

import argparse
import importlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ouroboros.sw.models import llama2c, tokenizer
from ouroboros.sw.models.checkpoint import Checkpoint, Layer
from ouroboros.sw.models.decoder_shape import DecoderShape
from ouroboros.sw.models.tokenizer import Tokenizer
from ouroboros.sw.models.train.text import tales

__all__ = ["SHAPE", "Result", "fit", "forward", "import_torch", "initial", "to_checkpoint"]

SHAPE = DecoderShape(dim=64, hidden_dim=160, n_layers=3, n_heads=8, n_kv_heads=4, vocab_size=512,
              seq_len=256)
"""DecoderShape of the shipped checkpoint: 162,240 weights, the embedding tied to the classifier."""

# PyTorch is optional and has no types here.
Tensor = Any
Weights = dict[str, Tensor]
Rows = npt.NDArray[np.int64]

WEIGHT_DECAY = 0.1
LEARNING_RATE = 5e-3
WARMUP_STEPS = 100
HELD_OUT_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a training run ends with."""

    weights: Weights
    """Trained weights."""
    steps: int
    """Steps taken."""
    train_loss: float
    """Mean loss of the last 100 steps, nat per token."""
    held_out_loss: float
    """Loss on tales of another seed, nat per token."""


def import_torch() -> Any:
    """Module ``torch``.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "torch must be installed to train: pip install -e .[train]") from error


def initial(shape: DecoderShape) -> Weights:
    """Random weights from torch's generator; those that end a residual branch are smaller."""
    torch = import_torch()
    sizes: dict[str, tuple[int, ...]] = {"embedding": (shape.vocab_size, shape.dim)}
    sizes |= {name: (shape.n_layers, *size) for name, size in shape.layer_shapes().items()}
    sizes["final_norm"] = (shape.dim,)
    weights = {}
    for name, size in sizes.items():
        if "norm" in name:
            weight = torch.ones(size)
        else:
            branch_end = name in ("wo", "w2")
            deviation = 0.02 / math.sqrt(2 * shape.n_layers) if branch_end else 0.02
            weight = torch.randn(size) * deviation
        weights[name] = weight.requires_grad_()
    return weights


def forward(shape: DecoderShape, weights: Weights, tokens: Tensor) -> Tensor:
    """Logits ``(batch, length, vocab_size)`` of tokens ``(batch, length)``."""
    torch = import_torch()
    functional = torch.nn.functional
    batch, length = tokens.shape
    pairs = np.arange(0, shape.head_dim, 2) / shape.head_dim
    angles = np.outer(np.arange(length), shape.rope_theta ** -pairs)[:, None]
    cos, sin = (torch.from_numpy(table.astype(np.float32))
                for table in (np.cos(angles), np.sin(angles)))

    def norm(x: Tensor, gain: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + shape.norm_eps) * gain

    def rotate(x: Tensor) -> Tensor:
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

    def heads(x: Tensor, count: int) -> Tensor:
        return x.view(batch, length, count, shape.head_dim)

    x = functional.embedding(tokens, weights["embedding"])
    for n in range(shape.n_layers):
        layer = {name: weights[name][n] for name in shape.layer_shapes()}
        h = norm(x, layer["norm1"])
        q = rotate(heads(h @ layer["wq"].T, shape.n_heads))
        k = rotate(heads(h @ layer["wk"].T, shape.n_kv_heads))
        v = heads(h @ layer["wv"].T, shape.n_kv_heads)
        k, v = (kv.repeat_interleave(shape.heads_per_kv, 2) for kv in (k, v))
        mixed = functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        x = x + mixed.transpose(1, 2).flatten(-2) @ layer["wo"].T
        h = norm(x, layer["norm2"])
        x = x + (functional.silu(h @ layer["w1"].T) * (h @ layer["w3"].T)) @ layer["w2"].T
    return norm(x, weights["final_norm"]) @ weights["embedding"].T


def to_checkpoint(shape: DecoderShape, weights: Weights) -> Checkpoint:
    """Checkpoint that holds the weights."""
    arrays = {name: weight.detach().numpy() for name, weight in weights.items()}
    return Checkpoint(
        shape=shape, embedding=arrays["embedding"], head=arrays["embedding"], tied=True,
        layers=tuple(Layer(**{name: arrays[name][n] for name in shape.layer_shapes()})
                     for n in range(shape.n_layers)),
        final_norm=arrays["final_norm"])


def rows(encoder: Tokenizer, seed: int, count: int, length: int) -> Rows:
    """Training rows ``(count, length)``: each starts with a tale, and others follow to its end."""
    stream = (encoder.encode(tale) for tale in tales(seed))
    table = np.empty((count, length), np.int64)
    for row in table:
        tokens: list[int] = []
        while len(tokens) < length:
            tokens += next(stream)
        row[:] = tokens[:length]
    return table


def batches(table: Rows, size: int, seed: int) -> Iterator[Rows]:
    """Batches without end: every row once in a shuffled round, then again."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(table))
        for start in range(0, len(order) - size + 1, size):
            yield table[order[start:start + size]]


def fit(shape: DecoderShape, encoder: Tokenizer, *, seed: int, steps: int, batch: int,
        row_count: int, minutes: float = math.inf, log: Callable[[str], None] = print) -> Result:
    """Train a model on generated tales.

    AdamW, a warm-up, then half a cosine down to zero over ``steps`` or ``minutes``, whichever ends
    first. The same arguments give the same weights, unless the time limit ended the run.
    """
    if not 1 <= batch <= row_count:
        raise ValueError(f"batch must be between 1 and row_count = {row_count}, not {batch!r}")
    torch = import_torch()
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    def loss_of(table: Rows) -> Tensor:
        tokens = torch.from_numpy(table)
        logits = forward(shape, weights, tokens[:, :-1])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    length = shape.seq_len + 1
    feed = batches(rows(encoder, seed, row_count, length), batch, seed)
    weights = initial(shape)
    optimizer = torch.optim.AdamW(
        [{"params": [weight], "weight_decay": 0.0 if "norm" in name else WEIGHT_DECAY}
         for name, weight in weights.items()], betas=(0.9, 0.95))
    losses: list[float] = []
    begin = time.monotonic()
    done = 0.0
    while done < 1.0:
        rate = LEARNING_RATE * min(1.0, (len(losses) + 1) / WARMUP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done))
        loss = loss_of(next(feed))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimizer.step()
        losses.append(loss.item())
        minutes_past = (time.monotonic() - begin) / 60
        done = max(len(losses) / steps, minutes_past / minutes)
        if len(losses) % 100 == 0:
            log(f"step {len(losses)}: loss {np.mean(losses[-100:]):.4f}, {minutes_past:.1f} min")
    with torch.no_grad():
        held_out = loss_of(rows(encoder, HELD_OUT_SEED, 64, length)).item()
    return Result(weights=weights, steps=len(losses), held_out_loss=held_out,
                  train_loss=float(np.mean(losses[-100:])))


def main() -> None:
    """Train and write a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer to read")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of tales, weights and batches")
    parser.add_argument("--steps", type=int, default=4500, help="training steps")
    parser.add_argument("--minutes", type=float, default=math.inf,
                        help="time limit; a run that meets it cannot be repeated bit by bit")
    parser.add_argument("--batch", type=int, default=16, help="rows of 256 tokens in a step")
    parser.add_argument("--rows", type=int, default=40_000, help="rows of text to generate")
    args = parser.parse_args()
    import_torch()
    encoder = tokenizer.read(args.tokenizer, SHAPE.vocab_size)
    result = fit(SHAPE, encoder, seed=args.seed, steps=args.steps, batch=args.batch,
                 row_count=args.rows, minutes=args.minutes)
    llama2c.write(args.out, to_checkpoint(SHAPE, result.weights))
    print(f"{args.out}: {result.steps} steps, loss {result.train_loss:.4f} in training and "
          f"{result.held_out_loss:.4f} on other tales (perplexity "
          f"{math.exp(result.held_out_loss):.3f})")


if __name__ == "__main__":
    main()
