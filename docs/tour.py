"""What the tour shows: ``python -m ouroboros.docs.tour STEP``, one token from prompt to logits.

Each step is a function that returns text; ``docs/tour.md`` has the same text between marks, where
``make docs`` puts it.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Kind
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.golden.numerics import LOGIT_FRACTION_BITS
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.models import checkpoints
from ouroboros.sw.perf.walk import walk
from ouroboros.sw.program.image import Stage, Token, read_stages
from ouroboros.sw.program.program import Program
from ouroboros.sw.quantise.source import ModelSource, open_model
from ouroboros.sw.runtime.rows import token_packets
from ouroboros.sw.runtime.service import serve

__all__ = ["PROMPT", "STEPS", "main", "placed", "prompt_tokens", "shipped"]

PROMPT = "Once upon a time"
SHOWN = 8
"""Numbers of a vector that are shown."""
HEADER = ("dst_x", "dst_y", "length", "sequence", "position", "stage", "operand", "offset")


def main() -> None:
    """Print the steps named on the command line, all without one."""
    unknown = [name for name in sys.argv[1:] if name not in STEPS]
    if unknown:
        sys.exit(f"step must be one of {', '.join(STEPS)}, not {unknown[0]!r}")
    print("\n\n".join(STEPS[name]() for name in sys.argv[1:] or STEPS))


def tokens() -> str:
    """The prompt as tokens."""
    coder = shipped().tokenizer
    assert coder is not None
    return "\n".join(f"position {n}: token {token:3} {coder.decode([token])!r}"
                     for n, token in enumerate(prompt_tokens()))


def integers() -> str:
    """What the quantiser makes of the checkpoint."""
    model = shipped().quantised()
    first = model.layers[0]
    count, bits = shipped().checkpoint.parameter_count, model.residual_fraction_bits
    return "\n".join([
        f"{count:,} weights as int8, residual int16 with {bits} fraction bits",
        _vector("wq, row 0", first.wq[0]),
        f"its multiplier {first.rq_q.m[0]}, shift {first.rq_q.s} for the whole matrix",
        _vector("embedding of the token", model.embedding[prompt_tokens()[-1]])])


def program() -> str:
    """The instructions of one stage."""
    stage = _stage("l0.up")
    lines = [f"{stage.info.name} on core {stage.info.core}, {stage.info.slots} slots"]
    for n, one in enumerate(stage.code):
        given = ", ".join(f"{name}={value}" for name, value in one.fields.items()
                          if value and name not in ("op", "spare"))
        lines.append(f"{n:3} {one.op.name:5} {given}"[:98].rstrip())
    return "\n".join(lines)


def packets() -> str:
    """What the host injects for the token."""
    found = token_packets(placed(), shipped().quantised(), token=prompt_tokens()[-1], sequence=0,
                          position=len(prompt_tokens()) - 1, flags=0)
    lines = []
    for n, packet in enumerate(found):
        fields = ", ".join(f"{name}={packet.header[name]}" for name in HEADER)
        lines += [f"packet {n}: {Kind(packet.header['kind']).name} {fields}",
                  f"  first flit {packet.payload[0]:032x}"]
    return "\n".join(lines)


def vectors() -> str:
    """What the first block computes for the token, by the golden decoder."""
    seen = _observed()
    kept = [("x", -1, "residual, int16"), ("h1", 0, "norm, int8"), ("q8", 0, "query, head 0"),
            ("k8", 0, "key, KV head 0"), ("scores", 0, "scores, head 0"),
            ("den", 0, "sum of weights e"), ("o8", 0, "context, all heads"),
            ("x_mid", 0, "after the projection"), ("f8", 0, "SiLU(up) x gate"),
            ("x", 0, "after the block")]
    lines = []
    for name, layer, words in kept:
        value = seen[layer, name][0]
        if name in ("scores", "den"):       # heads of the group first
            value = value[0]
        lines.append(_vector(f"{name:7}{words}", value[-1], 30))
    return "\n".join(lines)


def stages() -> str:
    """When each stage of the first block works on the token, in an empty machine."""
    way = walk(placed(), read_stages(placed()), Token(len(prompt_tokens()) - 1))
    done = sorted(way.stages, key=lambda one: one.start)
    shown = [one for one in done if one.stage.info.layer <= 0]
    lines = [f"{one.stage.info.name:8} core {one.stage.info.core}  starts {one.start:5,}  "
             f"ends {one.end:5,}  waits {one.waiting:3}" for one in shown]
    return "\n".join([*lines, f"the host has the result in cycle {way.result:,}"])


def logits() -> str:
    """The logits of the prompt's last token, and what the machine makes of them."""
    coder, model = shipped().tokenizer, shipped().quantised()
    assert coder is not None
    found = np.asarray(IntegerDecoder(model).prefill(0, prompt_tokens()))[-1]
    best = sorted(range(len(found)), key=lambda token: (-found[token], token))[:3]
    lines = [f"token {token:3} {coder.decode([token])!r:9} logit {found[token]:6,} "
             f"= {found[token] / 2**LOGIT_FRACTION_BITS:.3f}" for token in best]
    served = serve(shipped(), load_machine("small"), [PROMPT], tokens=4, on="golden")
    return "\n".join([*lines, f"the machine says {served.texts[0]!r}"])


def placed() -> Program:
    """The shipped model on machine ``small``."""
    return _placed()


def shipped() -> ModelSource:
    """The shipped checkpoint with its tokenizer."""
    return _shipped()


def prompt_tokens() -> list[int]:
    """Tokens of ``PROMPT``."""
    coder = shipped().tokenizer
    assert coder is not None
    return list(coder.encode(PROMPT))


@cache
def _shipped() -> ModelSource:
    folder = Path(str(checkpoints.__file__)).parent
    return open_model(folder / "tales.bin", folder / "tales_tokenizer.bin")


@cache
def _placed() -> Program:
    return map_model(load_machine("small"), shipped().quantised())


@cache
def _observed() -> dict[tuple[int, str], list[Any]]:
    """Every intermediate of the prompt, by layer and name."""
    seen: dict[tuple[int, str], list[Any]] = {}
    decoder = IntegerDecoder(shipped().quantised(), observer=lambda layer, name, value:
                             seen.setdefault((layer, name), []).append(value))
    decoder.prefill(0, prompt_tokens())
    return seen


def _stage(name: str) -> Stage:
    return next(stage for stage in read_stages(placed()) if stage.info.name == name)


def _vector(name: str, values: Any, width: int = 0) -> str:
    flat = np.asarray(values).ravel()
    more = f" .. ({flat.size})" if flat.size > SHOWN else ""
    return f"{name:{width}} " + " ".join(f"{value:d}" for value in flat[:SHOWN].tolist()) + more


STEPS: Mapping[str, Callable[[], str]] = {
    "tokens": tokens, "integers": integers, "program": program, "packets": packets,
    "stages": stages, "vectors": vectors, "logits": logits}
"""Steps of the tour, in order."""

if __name__ == "__main__":
    main()
