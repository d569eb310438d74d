"""Memories hold anything when they get power, whatever their text says."""

import random
import re

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.job import Job, RequestSpec
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.backend import emit_die, run_job
from ouroboros.tb.flow.build import build


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.parametrize("placement", ["plain", "split"])
def test_any_content_at_power_up(placement, make_checkpoint):
    """Nothing reads what it has not written, in memories that start at zero in the emitted text."""
    tiny = load_machine("tiny")
    model = quantise(make_checkpoint(dim=32, hidden_dim=40, n_layers=1, n_heads=4, n_kv_heads=2,
                                     vocab_size=40, seq_len=64))
    job = Job(program=map_model(tiny, model, placement=placement), model=model, requests=(
        RequestSpec(prompt=tuple(range(3, 20)), limit=2, logits="all"),
        RequestSpec(prompt=(7, 30), limit=2, logits="all")))
    texts, scrambled = {}, 0
    for name, text in emit_die(tiny).items():
        texts[name], count = _scramble(text, random.Random(1))
        scrambled += count
    assert scrambled > 30
    result = run_job(build("die", texts, sim="verilator", hier_blocks=["tile"]), job,
                     lambda *_: None)
    assert compare(model, result.requests)[0] and result.errors == 0


def _scramble(text, rng):
    """Random words in all memories whose initial contents are zeros; how many there are."""
    count = 0

    def block(found):
        nonlocal count
        lines = re.findall(r"(    \S+ ?\[\d+\] = )(\d+)'h([0-9a-fx]+);", found[1])
        if not lines or any(int(value, 16) for _, _, value in lines):
            return found[0]     # a table in ROM
        count += 1
        return "  initial begin\n" + "".join(
            f"{start}{bits}'h{rng.getrandbits(int(bits)):x};\n" for start, bits, _ in lines
        ) + "  end\n"

    return re.sub(r"  initial begin\n((?:    .*;\n)+)  end\n", block, text), count
