"""The recurrence against plain Python, and what pruning leaves out against what it may not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.sw.wafer.chain import Cell, Chain, Window
from ouroboros.sw.wafer.nodes import lay_out, push_all
from ouroboros.sw.wafer.prune import prune
from ouroboros.tests.sw.wafer.reference import through

TOKENS = 60


def run(chain, arrivals, contexts, kept=None, *, merged=True):
    nodes = lay_out(chain, kept and kept.cells, kept and kept.windows, merged=merged)
    state, phases = nodes.fresh()
    return push_all(np.array(arrivals, np.int64), np.array(contexts, np.int64), nodes.times,
                    nodes.places, nodes.sections, nodes.end, nodes.slots, state, phases,
                    nodes.hold_at, nodes.way_at)


@st.composite
def chains(draw):
    contexts = draw(st.integers(1, 4))
    cells = tuple(Cell(f"c{n}", draw(st.integers(0, 12)), draw(st.integers(0, 25)),
                       draw(st.booleans())) for n in range(draw(st.integers(1, 12))))
    windows = []
    for n in range(draw(st.integers(0, 5))):
        first = draw(st.integers(0, len(cells) - 1))
        windows.append(Window(f"w{n}", first, draw(st.integers(first, len(cells) - 1)),
                              draw(st.integers(1, 9)), draw(st.integers(-4, 6))))
    table = st.lists(st.integers(0, 9), min_size=contexts, max_size=contexts)
    return Chain(cells, tuple(windows), np.array([0, *draw(table)]), np.array([0, *draw(table)]))


@st.composite
def runs(draw):
    chain = draw(chains())
    gap = draw(st.integers(0, 15))
    gaps = draw(st.lists(st.integers(0, gap), min_size=TOKENS, max_size=TOKENS))
    contexts = draw(st.lists(st.integers(1, chain.contexts), min_size=TOKENS, max_size=TOKENS))
    return chain, np.cumsum(gaps), contexts


@given(runs())
@settings(max_examples=150, deadline=None)
def test_recurrence(drawn):
    chain, arrivals, contexts = drawn
    expected = through(chain, arrivals, contexts)[0]
    assert run(chain, arrivals, contexts).tolist() == expected
    assert run(chain, arrivals, contexts, merged=False).tolist() == expected


@given(runs())
@settings(max_examples=400, deadline=None)
def test_pruned_is_equal(drawn):
    chain, arrivals, contexts = drawn
    kept = prune(chain)
    assert np.array_equal(run(chain, arrivals, contexts), run(chain, arrivals, contexts, kept))
    assert kept.cells[0] == 0
    assert {n for n, one in enumerate(chain.windows) if not one.first} <= set(kept.windows)


def blocks(layers, rng=None, spread=0.0, slots=8, contexts=2000, step=0.1):
    """A chain like that of a decoder: seven cells a block, two windows, attention by context."""
    def about(value):
        return value if rng is None else int(value * (1 + spread * rng.uniform(-1, 1)))
    cells, windows = [], []
    for layer in range(layers):
        first = len(cells)
        for name, hold, way in (("QKV", 378, 588), ("attention", 0, 0), ("projection", 406, 577),
                                ("norm 2", 60, 392), ("up/gate", 360, 486), ("down", 308, 901),
                                ("norm 1", 46, 365)):
            cells.append(Cell(f"{layer} {name}", about(hold), about(way), name == "attention"))
        windows.append(Window(f"{layer} residual", first, first + 3, slots, 50))
        windows.append(Window(f"{layer} residual 2", first + 4, first + 6, slots, 50))
    at = np.arange(contexts + 1)
    return Chain(tuple(cells), tuple(windows), (150 + at * step / 5).astype(np.int64),
                 (600 + at * step).astype(np.int64))


def test_a_chain_of_like_blocks_keeps_little():
    kept = prune(blocks(40))
    # QKV and projection of the first block and, as attention makes tokens run up, the projection
    # of the others; the slots last longer than a token is under way.
    assert len(kept.cells) <= 3 + 40 and len(kept.windows) == 1
    # Slots that bind are kept, and nothing else is left out for that.
    assert len(prune(blocks(40, slots=4)).windows) >= 40


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("slots", [8, 4, 2])
def test_pruned_blocks_are_equal(seed, spread, slots):
    rng = np.random.default_rng(seed)
    chain = blocks(12, rng, spread, slots, step=[0.1, 0.5, 2.0][seed])
    arrivals = np.cumsum(rng.integers(0, 900, 20000))
    contexts = np.where(rng.random(20000) < 0.5, rng.integers(1, 2000, 20000),
                        np.arange(20000) % 1500 + 1)
    kept = prune(chain)
    assert len(kept.cells) < len(chain.cells)
    assert np.array_equal(run(chain, arrivals, contexts), run(chain, arrivals, contexts, kept))


def test_the_proof_needs_its_terms():
    """Each bound alone, where leaving it out would be wrong."""
    zero = np.zeros(3, np.int64)
    # A cell as slow as the one before it never waits ..
    assert prune(Chain((Cell("a", 5, 1), Cell("b", 5, 1)))).cells == (0,)
    # .. but does behind ways that differ.
    chain = Chain((Cell("a", 5, 0), Cell("b", 0, 0, True), Cell("c", 5, 1)), (), zero,
                  np.array([0, 4, 0]))
    assert prune(chain).cells == (0, 2)
    # A window of n slots binds if n tokens follow each other faster than one gets through.
    two = (Cell("a", 5, 0), Cell("b", 5, 20))
    assert prune(Chain(two, (Window("w", 1, 1, 4, 0),))).windows == ()
    assert prune(Chain(two, (Window("w", 1, 1, 4, 1),))).windows == (0,)
