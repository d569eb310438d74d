"""DGX A100 with continuous batching."""

from pathlib import Path

from ouroboros.hw.params.load import load
from ouroboros.sw.baselines.devices import Constants, Devices

__all__ = ["DGX_A100"]

DGX_A100 = Devices(
    name="dgx-a100", title="DGX A100 with continuous batching",
    constants=load(Constants, Path(__file__).with_suffix(".toml")))
