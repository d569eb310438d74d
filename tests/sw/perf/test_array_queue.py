"""The array unit under load, by hand: banks, macros and drain registers in turn."""

import pytest

from ouroboros.hw.params.isa import Op
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.perf.array_queue import ArrayQueue
from ouroboros.sw.program.image import Instruction

TINY = load_machine("tiny")
LOAD = Instruction(Op.LOAD, {"length": 64, "tiles": 1, "tile": 0})
MVM, SCORE, CONTEXT, APPEND = (
    Instruction(op, {"head": 0}) for op in (Op.MVM, Op.SCORE, Op.CONTEXT, Op.APPEND))
COMMAND, FILL = TINY.cim.command_cycles(TINY.cim.groups), TINY.cim.fill_cycles
ALONE = COMMAND + FILL + 2
"""Of an MVM that finds all operands."""


@pytest.fixture
def queue():
    return ArrayQueue(TINY)


def product(queue, who, cycle):
    """A LOAD and its MVM long after it: (who, done) of what has ended."""
    assert queue.takes(who, cycle)
    queue.offer(who, LOAD, cycle, 2)
    found = queue.advance()
    queue.offer(who, MVM, cycle + 100, ALONE)
    return [*found, *queue.advance()]


def test_alone(queue):
    assert product(queue, "a", 0) == [("a", 2), ("a", 100 + ALONE)]


def test_a_load_keeps_others_out_until_its_product(queue):
    queue.offer("a", LOAD, 0, 2)
    queue.advance()
    assert queue.takes("a", 50) and not queue.takes("b", 50)
    queue.offer("a", MVM, 50, ALONE)
    queue.advance()
    assert queue.takes("b", 52)


def test_a_result_waits_for_the_one_before(queue):
    [_, (_, first)] = product(queue, "a", 0)
    # The second is computed at once and stays in the macros; the third does not begin.
    assert product(queue, "b", 200) == [("b", 202)]
    queue.release(1000)
    assert queue.advance() == [("b", 1000)]
    assert first < 300
    queue.release(1010)
    assert product(queue, "c", 1100)[1] == ("c", 1200 + ALONE)


def test_two_banks(queue):
    product(queue, "a", 0)
    product(queue, "b", 200)
    # b's bank is in use until its result is current, a's is free.
    queue.offer("c", LOAD, 400, 2)
    assert queue.advance() == [("c", 402)]
    queue.offer("c", MVM, 410, ALONE)
    assert queue.advance() == []
    queue.release(600)
    assert queue.advance()[0] == ("b", 600)


def test_scores_and_appends_begin_when_macros_are_idle(queue):
    product(queue, "a", 0)
    queue.release(100 + ALONE + 5)
    queue.offer("b", APPEND, 110, 20)
    [(who, done)] = queue.advance()
    assert who == "b" and done >= 100 + COMMAND + 20
    queue.offer("b", SCORE, done + 1, FILL + 30)
    assert queue.advance() == [("b", done + 1 + 30 + FILL)]


@pytest.mark.parametrize(("second", "done"), [(CONTEXT, 410), (SCORE, 400 + FILL + 30 - 5)])
def test_k_and_v_are_different_macros(second, done, queue):
    """A result that waits holds up its own macros: a CONTEXT behind a SCORE computes meanwhile, and
    a SCORE loads."""
    first = SCORE if second is CONTEXT else CONTEXT
    queue.offer("a", second, 0, FILL + 30)
    [(_, read)] = queue.advance()
    queue.offer("b", first, 100, FILL + 30)
    assert queue.advance() == []
    queue.offer("c", second, 200, FILL + 30)
    queue.release(400)
    assert queue.advance() == [("b", 400)]
    queue.release(410)
    assert read == FILL + 30 and queue.advance() == [("c", done)]
