"""The baselines by name."""

from ouroboros.sw.baselines.attacc import ATTACC
from ouroboros.sw.baselines.devices import Devices
from ouroboros.sw.baselines.dgx_a100 import DGX_A100
from ouroboros.sw.baselines.tpu_v4 import TPU_V4
from ouroboros.sw.baselines.wse2 import WSE2, Wse2

__all__ = ["BASELINES", "DEVICES"]

DEVICES: dict[str, Devices] = {one.name: one for one in (DGX_A100, TPU_V4, ATTACC)}
"""Those that batch."""
BASELINES: dict[str, Devices | Wse2] = {**DEVICES, WSE2.name: WSE2}
"""All."""
