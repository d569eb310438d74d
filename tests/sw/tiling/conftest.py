"""Small models on the tiny and the small machine, and a placer that only shuffles."""

import random

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.placement import Placement
from ouroboros.sw.quantise.quantise import quantise

SHAPE = {"dim": 32, "hidden_dim": 44, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 120, "seq_len": 64}
MODELS = {}


@pytest.fixture
def tiny():
    return load_machine("tiny")


@pytest.fixture
def model(make_checkpoint):
    if not MODELS:
        MODELS["base"] = quantise(make_checkpoint(**SHAPE))
    return MODELS["base"]


@pytest.fixture
def shuffle():
    """A random placement of an instance: legal, and unlike any snake."""
    def run(instance, seed=0):
        cores = instance.grid.live.tolist()
        random.Random(seed).shuffle(cores)
        core = np.array(cores[:instance.tiles])
        return Placement(instance_name=instance.name, instance_digest=instance.digest,
                         grid=instance.grid, core=core, cost=cost(instance, core), seed=seed)
    return run
