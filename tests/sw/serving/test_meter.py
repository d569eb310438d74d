"""Integrals over time, by hand."""

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.meter import Meter
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.serving.request import Request
from ouroboros.sw.serving.scheduler import Scheduler


def make(**options):
    made = ServingOptions(**options)
    book = KvBook(block_tokens=4, members=1, blocks=8, sequence_blocks=8,
                  static_tokens=made.static_tokens)
    return Scheduler(book, {0: 3}, sequences=4, context=32, options=made)


def test_what_is_held_over_time():
    scheduler = make(static_tokens=12)
    meter = Meter(scheduler=scheduler, keep=True)
    scheduler.submit(Request(prompt_tokens=5, limit=2))
    meter.look(10)
    scheduler.admit()
    for step in iter(scheduler.next, None):
        scheduler.inject(step)
    sample = meter.look(14)
    assert (sample.alive, sample.waiting, sample.flying, sample.tokens) == (1, 0, 3, 3)
    assert (sample.reserved, sample.filled, sample.bubble) == (3, 1, False)
    for _ in range(3):
        scheduler.credits.give(0)
    scheduler.active[0].rewind = 2
    meter.look(20)          # there is room, but a refused token has to wait
    means = meter.means(30)
    assert means["waiting"] == 4 / 20 and means["alive"] == 16 / 20
    assert means["flying"] == 3 * 16 / 20 and means["reserved"] == 3 * 16 / 20
    assert means["tokens"] == (3 * 6 + 2 * 10) / 20
    assert means["bubble"] == (4 + 10) / 20     # nobody was admitted; then refused tokens wait
    assert meter.peaks["flying"] == 3 and len(meter.samples) == 3
    meter.look(20)
    assert len(meter.samples) == 3


def test_nothing_was_looked_at():
    assert set(Meter(scheduler=make()).means(9).values()) == {0.0}
