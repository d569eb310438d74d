"""A small model on a machine with room for four KV blocks of 16 tokens, and what it must say."""

import asyncio
import random
from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.golden.core import CoreError
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.golden.machine import GoldenLink
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.device import Device
from ouroboros.sw.runtime.engine import Engine
from ouroboros.sw.serving.options import ServingOptions

TINY = load_machine("tiny")
TIGHT = replace(TINY, cim=replace(TINY.cim, rows=32), kv=replace(TINY.kv, blocks=8, heads=1))
BLOCKS = 4


MODELS = {}


@pytest.fixture
def model(make_checkpoint):
    if not MODELS:
        MODELS["small"] = quantise(make_checkpoint(
            dim=32, hidden_dim=20, n_layers=1, n_heads=2, n_kv_heads=1, vocab_size=23, seq_len=80))
    return MODELS["small"]


@pytest.fixture
def program(model):
    made = map_model(TIGHT, model, context=80)
    assert (made.kv_blocks, made.kv_sequence_blocks) == (BLOCKS, BLOCKS)
    return made


class Bench:
    """An engine on the golden machine, and the decoder that knows better."""

    def __init__(self, program, model, *, seed=None, **options):
        self.program, self.model = program, model
        self.link = GoldenLink(program.machine)
        asyncio.run(self.link.send(Device(self.link, program).load_packets()))
        # The machine is loaded in order; what follows is not.
        self.link.golden.disorder = None if seed is None else random.Random(seed)
        policy = {name: options.pop(name) for name in ServingOptions.__slots__ if name in options}
        self.engine = Engine(self.link, program, model, options=ServingOptions(**policy), **options)

    def serve(self, prompts, limits, logits="last"):
        """Submit requests and serve them all."""
        requests = [self.engine.submit(prompt, limit=limit, logits=logits)
                    for prompt, limit in zip(prompts, limits, strict=True)]
        self.run()
        return requests

    def run(self):
        """Serve all requests; nothing is left in the machine afterwards."""
        asyncio.run(self.engine.run())
        self.check_idle()

    def steps(self, count):
        """Serve for a while."""
        async def some():
            for _ in range(count):
                await self.engine.step()
        asyncio.run(some())

    def hold(self, delay, late):
        """Deliver packets that are ``late`` after ``delay`` later ones, if there are so many."""
        receive, held, count = self.link.recv, deque(), 0

        async def recv():
            nonlocal count
            count += 1
            while not held or held[0][0] > count:
                try:
                    packet = await receive()
                except CoreError:
                    break
                if not late(packet.header):
                    return packet
                held.append((count + delay, packet))
            return held.popleft()[1]

        self.link.recv = recv

    def check_idle(self):
        """No slot, credit, KV block or sequence id is lost."""
        golden = self.link.golden
        golden.settle()
        assert not golden.to_host
        for core in golden.cores.values():
            assert not core.slots
            if core.array.kv is not None:
                assert core.array.kv.used == 0
        assert sorted(self.engine.scheduler.free_ids) == [*range(self.program.sequences)]
        assert self.engine.scheduler.idle and self.engine.results.empty

    def check(self, request, count=None):
        """The tokens and logits are those of an undisturbed decoder."""
        decoder = IntegerDecoder(self.model)
        count = len(request.tokens) if count is None else count
        logits = decoder.prefill(0, request.prompt)
        for n, token in enumerate(request.tokens):
            assert token == logits[-1].argmax(), f"token {n}"
            if decoder.length(0) < self.model.shape.seq_len:
                logits = np.concatenate([logits, decoder.prefill(0, [token])])
        assert len(request.tokens) == count
        for position, vector in request.vectors.items():
            assert np.array_equal(vector, logits[position]), f"position {position}"
        if request.finished == "cancelled":
            return
        last = len(request.prompt) + count - 1     # the last token's own logits are not asked for
        first = {"all": 0, "last": len(request.prompt) - 1, "none": last}[request.logits]
        assert {*request.vectors} >= {*range(first, last)}


@pytest.fixture
def make_bench(program, model):
    def make(kv_blocks=None, **options):
        made = {"program": program, "model": model, **options}
        if kv_blocks is not None:
            made["program"] = replace(made["program"], kv_blocks=kv_blocks)
        return Bench(**made)
    return make


def prompts(seed, lengths):
    rng = random.Random(seed)
    return [[rng.randrange(23) for _ in range(length)] for length in lengths]


@pytest.fixture
def make_prompts():
    return prompts
