"""DGX with memory that computes attention (AttAcc)."""

from pathlib import Path

from ouroboros.hw.params.load import load
from ouroboros.sw.baselines.devices import Constants, Devices

__all__ = ["ATTACC"]

ATTACC = Devices(
    name="attacc", title="DGX with memory that computes attention (AttAcc)",
    constants=load(Constants, Path(__file__).with_suffix(".toml")))
