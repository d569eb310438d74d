"""A run of requests in plain Python: ``sw.serving``'s own scheduler, a chain, a machine's KV."""

from collections import deque
from dataclasses import dataclass

from ouroboros.sw.serving.book import KvBook
from ouroboros.sw.serving.options import ServingOptions
from ouroboros.sw.serving.request import Request
from ouroboros.sw.serving.scheduler import Scheduler


@dataclass(slots=True, eq=False, kw_only=True)
class Arriving(Request):
    """A request with times."""

    arrival: int = 0
    first: int = 0
    end: int = 0


class PlainChain:
    """The recurrence, token by token; windows before the first cell are the scheduler's credits."""

    def __init__(self, chain):
        self.chain, self.starts, self.before = chain, [None] * len(chain.cells), 1
        self.taken = [deque() for _ in chain.windows]

    @property
    def port(self):
        """When the first cell takes a token."""
        if self.starts[0] is None:
            return 0
        return self.starts[0] + self.chain.hold_of(self.chain.cells[0], self.before)

    def push(self, x, context):
        chain, credit = self.chain, None
        for s, cell in enumerate(chain.cells):
            for n, window in enumerate(chain.windows):
                if s and window.first == s and len(self.taken[n]) == window.slots:
                    x = max(x, self.taken[n].popleft())
            if self.starts[s] is not None:
                x = max(x, self.starts[s] + chain.hold_of(cell, self.before))
            self.starts[s] = x
            x += cell.way + (int(chain.way_at[context]) if cell.context else 0)
            for n, window in enumerate(chain.windows):
                if window.last == s:
                    if window.first:
                        self.taken[n].append(x + window.back)
                    else:
                        credit = x + window.back
        self.before = context
        return x, credit


class PlainKv:
    """Blocks of a head's members."""

    def __init__(self, rules):
        self.rules, self.pages = rules, set()

    def member(self, sequence, block):
        return (block + (sequence if self.rules.ring else 0)) % self.rules.members

    def allocate(self, sequence, position):
        block = position // self.rules.block_tokens
        if (sequence, block) in self.pages:
            return True
        member = self.member(sequence, block)
        if sum(self.member(*page) == member for page in self.pages) >= self.rules.blocks:
            return False
        self.pages.add((sequence, block))
        return True

    def release(self, sequence):
        self.pages = {page for page in self.pages if page[0] != sequence}


def serve(chain, rules, prompts, limits, arrivals):
    """Requests as they ended, and every step: cycle, sequence, position, tokens, outcome."""
    book = KvBook(block_tokens=rules.block_tokens, members=rules.members, blocks=rules.blocks,
                  sequence_blocks=rules.sequence_blocks, ring=bool(rules.ring),
                  static_tokens=rules.static_tokens)
    room = next(w.slots for w in chain.windows if not w.first)
    scheduler = Scheduler(book, {0: room}, sequences=rules.sequences, context=rules.context,
                          options=ServingOptions(headroom_blocks=rules.headroom_blocks,
                                                 static_tokens=rules.static_tokens))
    machine, kv = PlainChain(chain), PlainKv(rules)
    requests = [Arriving(prompt_tokens=int(p), limit=int(n), arrival=int(a))
                for p, n, a in zip(prompts, limits, arrivals, strict=True)]
    coming, results, credits, steps, now = deque(requests), deque(), deque(), [], 0
    while True:
        now = max(now, machine.port)
        while credits and credits[0] <= now:
            credits.popleft()
            scheduler.credits.give(0)
        while results and results[0][0] <= now:
            when, sequence, position, outcome = results.popleft()
            if outcome == 2:
                scheduler.freed(sequence)
            elif outcome == 1:
                scheduler.refused(sequence, position)
            else:
                before = sequence.request.generated
                scheduler.done(sequence, position, stops=False, now=when)
                if sequence.request.generated > before:
                    sequence.request.end = when
                    if not before:
                        sequence.request.first = when
        while coming and coming[0].arrival <= now:
            scheduler.submit(coming.popleft())
        scheduler.admit()
        step = scheduler.next()
        if step is None:
            later = [*(result[0] for result in results), *credits,
                     *(request.arrival for request in coming)]
            if not later:
                assert scheduler.idle
                return requests, steps
            now = max(now, min(later))
            continue
        sequence, position = step.sequence, step.position
        if step.free:
            kv.release(sequence.id)
            outcome, context = 2, 1
        else:
            outcome, context = int(not kv.allocate(sequence.id, position)), position + 1
        scheduler.inject(step)
        when, credit = machine.push(now, context)
        credits.append(credit)
        results.append((when, sequence, position, outcome))
        steps.append((now, sequence.id, position, 1, outcome))
