"""Blocks with drawn weights over two dies: the golden logits, and the cycle model's cycles."""

from dataclasses import replace

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.block import BlockOptions, run_block, run_shape
from ouroboros.sw.models.scheme import R2
from ouroboros.sw.models.shape import ModelShape
from ouroboros.sw.program.ways import routers
from ouroboros.sw.runtime.job import IMAGE
from ouroboros.tb.flow.backend import verilator

TOTAL_TOLERANCE, STAGE_TOLERANCE = 0.02, 0.05


def check(found, *, decoded):
    """Logits, events and cycles of decoded tokens and stages."""
    served = found.served
    assert served.bit_exact and served.vectors_checked == decoded + 1
    assert served.result.errors == 0
    assert found.dies == 2
    assert served.counted.differing == ()
    assert served.counted.measured == served.counted.predicted
    assert all(served.counted.measured.values())
    agreement = served.agreement
    assert len(agreement.decode) == decoded
    for pair in agreement.decode.values():
        assert abs(pair.error) < TOTAL_TOLERANCE
    assert abs(agreement.total.error) < TOTAL_TOLERANCE
    for name, pair in agreement.stages.items():
        assert abs(pair.error) < STAGE_TOLERANCE, name


@pytest.mark.sim
def test_a_narrow_block():
    """The way of a block of 13B, in a machine of 20 cores; f has 11 bits, as there."""
    small = load_machine("small")
    machine = replace(small, name="small pair", core=replace(small.core, residual_bits=24),
                      mesh=replace(small.mesh, width=5, height=4, die_width=5, die_height=2))
    shape = ModelShape(name="narrow", source="here", dim=64, hidden_dim=176, n_layers=1, n_heads=4,
                       n_kv_heads=4, vocab_size=256)
    found = run_shape(machine, shape, BlockOptions(on="verilator", members=2, prompt_tokens=16),
                      scheme=replace(R2, f_bits=11))
    assert found.served.model.scheme == replace(R2, f_bits=11)
    check(found, decoded=3)
    assert abs(found.served.agreement.prefill.error) < TOTAL_TOLERANCE

    # As large machines are run: from images, and cores that nothing reaches stay in reset.
    job = found.served.job
    built = routers(job.program)
    assert len(built) < machine.mesh.cores
    result = verilator(replace(job, built=built, load=IMAGE), lambda *_: None)
    assert result.cycles == found.served.result.cycles
    assert [one.tokens for one in result.requests] == [
        one.tokens for one in found.served.result.requests]


@pytest.mark.sim
@pytest.mark.slow
def test_a_block_of_llama_13b():
    found = run_block(BlockOptions(on="verilator"))
    shape = found.served.model.shape
    assert (shape.dim, shape.n_heads, shape.hidden_dim) == (5120, 40, 13824)
    assert len(found.served.program.roles) == 254
    check(found, decoded=3)
    prefill = found.served.agreement.prefill
    if abs(prefill.error) >= TOTAL_TOLERANCE:
        pytest.xfail(f"prefill is predicted {prefill.error:+.1%} off, see docs/die.md")
