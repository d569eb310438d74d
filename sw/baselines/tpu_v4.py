"""8 x TPU v4 with continuous batching."""

from pathlib import Path

from ouroboros.hw.params.load import load
from ouroboros.sw.baselines.devices import Constants, Devices

__all__ = ["TPU_V4"]

TPU_V4 = Devices(
    name="tpu-v4", title="8 x TPU v4 with continuous batching",
    constants=load(Constants, Path(__file__).with_suffix(".toml")))
