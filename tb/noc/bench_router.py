"""Random packets through one router, between sources and sinks of links.

Reads PACKETS and STALL from the environment.
"""

import os

import cocotb

from ouroboros.hw.params.noc import NocParams
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.noc.router_agent import EVERY_PORT, RouterAgent, StoppingRouter

NOC = NocParams(vcs=2, class1_vcs=0, class2_vcs=0, vc_depth=9, labels=16)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def random_traffic(dut):
    """Every copy arrives once, intact, in order per source, port and channel."""
    rng = seeded()
    agent = RouterAgent(NOC, labels={n: rng.randrange(1, EVERY_PORT + 1) for n in range(1, 16)},
                        stall=float(os.environ["STALL"]), rng=rng)
    agent.send_random(int(os.environ["PACKETS"]))
    await agent.settle(await CocotbDut.started(dut, StoppingRouter(NOC)), cycles=100_000)
    agent.check()
