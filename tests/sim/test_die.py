"""SmolLM2 on the RTL of a whole die: what ``make die`` shows."""

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.quantise.source import open_model
from ouroboros.sw.runtime.job import IMAGE
from ouroboros.sw.runtime.service import serve

TOTAL_TOLERANCE, PART_TOLERANCE = 0.02, 0.05


@pytest.mark.sim
@pytest.mark.slow
def test_a_question_is_answered(smollm2):
    served = serve(open_model(smollm2), load_machine("die"), ["What is the capital of France?"],
                   tokens=12, on="verilator", chat=True)
    [answer] = served.answers
    assert "Paris" in answer
    assert served.bit_exact and served.vectors_checked == len(served.result.requests[0].tokens)
    assert served.result.errors == 0
    job, found = served.job, served.agreement
    assert job.twin and job.load == IMAGE
    assert len(served.program.roles) == 162 < len(job.built) < job.program.machine.mesh.cores
    assert served.counted.differing == ()
    for pair in (found.total, *found.decode.values()):
        assert abs(pair.error) < TOTAL_TOLERANCE
    # docs/performance.md says what of a prompt on the die is not understood.
    for name, pair in {"prefill": found.prefill, **found.stages}.items():
        assert abs(pair.error) < PART_TOLERANCE, name
