"""Small models by name, and the golden machine's logits for them."""

import asyncio
import random

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.machine import GoldenLink
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.placement import Placement
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.quantise.recipe import RECIPES
from ouroboros.sw.runtime.device import Device
from ouroboros.sw.runtime.engine import Engine

# The base has hidden and vocabulary sizes that fill no macro, and two KV heads of eight.
BASE = {"dim": 32, "hidden_dim": 44, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
        "vocab_size": 59, "seq_len": 64}
MODELS = {}


@pytest.fixture
def make_model(make_checkpoint):
    """Factory of integer models by scheme; equal changes give the same object."""
    def make(*, scheme="R", **changes):
        key = scheme, *sorted(changes.items())
        if key not in MODELS:
            MODELS[key] = quantise(make_checkpoint(**(BASE | changes)), recipe=RECIPES[scheme])
        return MODELS[key]
    return make


@pytest.fixture
def serve():
    """Run requests on a golden machine; returns requests and the machine."""
    def run(program, model, prompts, *, limit=0, seed=None, **options):
        link = GoldenLink(program.machine)

        async def all_of_it():
            await link.send(Device(link, program).load_packets())
            link.golden.disorder = None if seed is None else random.Random(seed)
            engine = Engine(link, program, model, **options)
            requests = [engine.submit(prompt, limit=limit, logits="all") for prompt in prompts]
            await engine.run()
            return requests
        return asyncio.run(all_of_it()), link.golden
    return run


@pytest.fixture
def map_to(make_model):
    """Place a model on a machine; keyword arguments change the model's shape."""
    def run(machine, placement="plain", context=None, **changes):
        return map_model(machine, make_model(**changes), placement=placement, context=context)
    return run


@pytest.fixture
def tiny():
    return load_machine("tiny")


@pytest.fixture
def model(make_model):
    """The base with a vocabulary for two cores."""
    return make_model(vocab_size=120)


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
