"""A machine of nothing but KV blocks, and a scheduler that drives it."""

import random

import pytest

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.serving.request import Request
from ouroboros.sw.serving.scheduler import Scheduler, Verdict

BLOCK = 4
BLOCKS = 4


class Bench:
    """Tokens come back in random order; one that finds no block free is refused."""

    def __init__(self, *, blocks=BLOCKS, believed=None, seed=0, room=6, context=40, **options):
        made = ServingOptions(**options)
        book = KvBook(block_tokens=BLOCK, members=1, sequence_blocks=blocks,
                      blocks=blocks if believed is None else believed,
                      static_tokens=made.static_tokens)
        self.scheduler = Scheduler(book, {3: room, 5: room}, sequences=4, context=context,
                                   options=made)
        self.rng, self.free = random.Random(seed), blocks
        self.order, self.now = [], 0
        self._tokens, self._credits, self._owned = [], [], {}

    def submit(self, prompt, limit):
        """A request of so many tokens."""
        request = Request(prompt_tokens=prompt, limit=limit)
        self.scheduler.submit(request)
        return request

    def step(self):
        """What can go in goes in; one thing comes back."""
        self.scheduler.admit()
        while (step := self.scheduler.next()) is not None:
            self.scheduler.inject(step, self.now)
            self.order.append((step.sequence.id, step.position, step.free))
            self._credits += [3, 5]
            self._tokens.append((step, self._takes(step)))
        self.now += 1
        if self._credits and self.rng.random() < 0.5:
            self.scheduler.credits.give(
                self._credits.pop(self.rng.randrange(len(self._credits))))
        elif self._tokens:
            self._back(*self._tokens.pop(self.rng.randrange(len(self._tokens))))

    def _takes(self, step):
        """Whether a token finds its KV block, as it passes the cores."""
        owned = self._owned.setdefault(step.sequence.id, 0)
        if step.free:
            self.free += self._owned.pop(step.sequence.id)
        elif step.move:
            needed = -(-step.sequence.request.saved // BLOCK)
            if needed > self.free:
                return False
            self.free -= needed
            self._owned[step.sequence.id] = needed
        elif step.position // BLOCK >= owned:
            if not self.free:
                return False
            self.free -= 1
            self._owned[step.sequence.id] += 1
        return True

    def _back(self, step, took):
        sequence = self.scheduler.find(step.sequence.id, step.position)
        assert sequence is step.sequence
        if step.free:
            self.scheduler.freed(sequence)
        elif step.move:
            self.scheduler.restored(sequence, step.position, took=took)
        elif not took:
            self.scheduler.refused(sequence, step.position)
        else:
            made = sequence.request.generated
            verdict = self.scheduler.done(sequence, step.position, stops=False, now=self.now)
            assert sequence.request.generated == made + (verdict is Verdict.GENERATED)

    def run(self, steps=20_000):
        """Until all is done; nothing is lost on the way."""
        while not self.scheduler.idle and steps:
            self.step()
            steps -= 1
        assert steps, "served for ever"
        assert sorted(self.scheduler.free_ids) == [0, 1, 2, 3]
        assert not self.scheduler.owed and not any(self._owned.values())


@pytest.fixture
def make_bench():
    return Bench
