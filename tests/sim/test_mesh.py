import pytest

from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.flow.build import SIMULATORS, simulate
from ouroboros.tb.noc.mesh_top import build_mesh

# width, height, vcs, depth, packets: the small one also under Icarus
SMALL = (2, 2, 1, 9, 60)
WIDE = (4, 3, 2, 10, 400)


@pytest.mark.sim
@pytest.mark.parametrize("stall", ["0.0", "0.5"])
@pytest.mark.parametrize("sim, case", [(sim, SMALL) for sim in SIMULATORS]
                         + [("verilator", WIDE)])
def test_mesh(sim, case, stall):
    """Unicast, multicast, hot spots, stalled sinks and wrong packets on a mesh of routers."""
    width, height, vcs, depth, packets = case
    noc = NocParams(vcs=vcs, class1_vcs=0, class2_vcs=0, vc_depth=depth, labels=16)
    simulate("mesh", build_mesh(noc, width, height), sim=sim, hier_blocks=["router"],
             test_module="ouroboros.tb.noc.bench_mesh",
             env={"WIDTH": str(width), "HEIGHT": str(height), "VCS": str(vcs),
                  "DEPTH": str(depth), "PACKETS": str(packets), "STALL": stall})
