import pytest

from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.flow.build import SIMULATORS, simulate
from ouroboros.tb.noc.bench_router import NOC
from ouroboros.tb.noc.mesh_top import build_mesh
from ouroboros.tb.noc.router_agent import StoppingRouter


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_router(sim, stall):
    """One router with a source and a sink of a link at each port."""
    library = Library()
    library.define("router", lambda: StoppingRouter(NOC), params=NOC)
    simulate("router", library.sources(), sim=sim, test_module="ouroboros.tb.noc.bench_router",
             env={"PACKETS": "400", "STALL": stall})


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("sim", SIMULATORS)
def test_mesh_of_one(sim, stall):
    """One router with a stream port on each side: all of the mesh bench's traffic."""
    simulate("mesh", build_mesh(NocParams(class1_vcs=0, class2_vcs=0, labels=16), 1, 1), sim=sim,
             test_module="ouroboros.tb.noc.bench_mesh",
             env={"WIDTH": "1", "HEIGHT": "1", "VCS": "1", "DEPTH": "10", "PACKETS": "120",
                  "STALL": stall})
