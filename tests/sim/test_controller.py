import pytest

from ouroboros.tb.flow.build import SIMULATORS, simulate
from ouroboros.tb.regress.benches import BENCHES


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_random_tokens(sim, stall):
    """Several stages at once, every cycle against the golden core's steps."""
    bench = BENCHES["controller"]
    simulate(bench.top, bench.sources(), sim=sim, test_module=bench.module,
             env=bench.env | {"STALL": stall})
