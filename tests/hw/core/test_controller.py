import random
from collections import defaultdict
from dataclasses import replace
from functools import partial

import pytest

from ouroboros.hw.params.isa import Fn, Op, assemble, disassemble
from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.packet import Flag
from ouroboros.tb.core.controller_script import run_controller

TINY = load_machine("tiny")
MACHINE = replace(TINY, core=replace(TINY.core, stages=2, slots=4, credits=3, dests=4,
                                     program_words=32, credit_list_words=8))
CYCLES_PER_INSTRUCTION = 2
UNIT_OF = {Op.SFU: "sfu", Op.SEND: "send", Op.LOAD: "array", Op.MVM: "array", Op.APPEND: "array",
           Op.SCORE: "array", Op.CONTEXT: "array", Op.FREE: "array"}

run = partial(run_controller, MACHINE)


def sfu(n=0, **conditions):
    return assemble(Op.SFU, fn=Fn.MAC, a_addr=n, **conditions)


END = assemble(Op.END)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_cycles_of_skipped_instructions(count):
    """Two cycles each, from the one after the lookup; END takes two as well."""
    program = [sfu(n, need=Flag.FREE) for n in range(count)] + [END]
    log = run(program, {0: [("token", 0, 1, 1)]}, cycles=20)
    assert log.issues == []
    assert [cycle for cycle, _ in log.traces] == [CYCLES_PER_INSTRUCTION * (count + 1)]


def test_cycles_of_issued_instructions():
    """Picked, acted on, in the unit's register; the next pick is in the cycle after ``done``."""
    log = run([sfu(0), sfu(1), assemble(Op.SEND, dest=0), END], {0: [("token", 0, 3, 9)]},
              latency=4)
    assert [issue.cycle for issue in log.issues] == [3, 3 + 4 + 3, 3 + 2 * (4 + 3)]
    assert [issue.fields["a_addr"] for issue in log.issues[:2]] == [0, 1]
    assert {(i.slot, i.base, i.sequence, i.position, i.flags) for i in log.issues} == {
        (0, 8, 3, 9, 0)}
    assert log.traces[0][0] == 3 + 2 * (4 + 3) + 4 + 2


@pytest.mark.parametrize("arrivals", [[2, 3], [2, 20], [14, 20], [19, 20]])
def test_wait(arrivals):
    """Goes on when both packets are there, before or after the WAIT; counts only its operand."""
    program = [assemble(Op.WAIT, operand=2, packets=2), sfu(), END]
    others = {4: [("packet", 0, 1, 0)], 6: [("packet", 0, 3, 0)]}
    log = run(program, {0: [("token", 0, 1, 1)], **others,
                        **{cycle: [("packet", 0, 2, 0)] for cycle in arrivals}})
    # Parked or not: picked in the cycle after the last packet, then WAIT 2, SFU 2 and its register.
    assert log.issues[0].cycle == max(arrivals) + 1 + 2 + 2
    [(_, trace)] = log.traces
    assert trace["start"] == max(arrivals) + 2


def test_operands_there_before_wait():
    program = [sfu(), assemble(Op.WAIT, operand=0, packets=1), sfu(), END]
    log = run(program, {0: [("token", 0, 1, 1)], 1: [("packet", 0, 0, 0)]})
    assert [issue.cycle for issue in log.issues] == [3, 3 + 1 + 3 + 2]


def test_allocation_by_name():
    stages = [{"slot_first": 0, "slot_count": 1, "base": 4, "stride": 9},
              {"slot_first": 1, "slot_count": 2, "base": 40, "stride": 20, "program": 1}]
    program = [END, assemble(Op.WAIT, operand=0, packets=1), END]
    script = {n: [("token", 1, *name)] for n, name in enumerate(
        [(7, 7), (7, 8), (7, 7), (7, 9), (7, 8)])}
    log = run(program, script, stages=stages)
    assert log.found == [(1, 40), (2, 60), (1, 40), None, (2, 60)]


def test_oldest_first():
    """Three tokens want the SFU while it is busy: it takes them by age, not by slot."""
    stages = [{"slot_first": 1, "slot_count": 3, "base": 0, "stride": 4},
              {"slot_first": 0, "slot_count": 1, "base": 0, "stride": 4}]
    log = run([sfu(), END], {0: [("token", 0, 10, 0)], 1: [("token", 0, 11, 0)],
                             2: [("token", 1, 12, 0)], 3: [("token", 0, 13, 0)]},
              stages=stages, accepts=lambda unit, cycle: cycle > 20)
    assert log.order("sfu") == [10, 11, 12, 13]


@pytest.mark.parametrize("release", range(6, 24))
def test_nobody_overtakes_on_a_unit_that_becomes_free(release):
    """Whenever the SFU becomes free, the token that has waited for it longest gets it."""
    program = [sfu(), sfu(1), END]
    log = run(program, {n: [("token", 0, n, 0)] for n in range(4)}, cycles=120, latency=3,
              accepts=lambda unit, cycle: cycle >= release)
    order = [(issue.fields["a_addr"], issue.sequence) for issue in log.issues]
    for step in range(2):
        assert [sequence for n, sequence in order if n == step] == [0, 1, 2, 3]


@pytest.mark.parametrize("back", range(4, 22))
def test_nobody_overtakes_on_a_credit_that_comes_back(back):
    program = [sfu(need=Flag.STREAM), assemble(Op.SEND, dest=0, acquire=1), END]
    late = {9: [("token", 0, 1, 0)], 12: [("token", 0, 2, 0)]}
    script = {0: [("token", 0, 0, 0)], **late}
    script[back] = [*script.get(back, []), ("credit", 1)]
    script[40] = script[44] = [("credit", 1)]
    log = run(program, script, masks=(0b010,))
    assert log.order("send") == [0, 1, 2]


def test_credits_park_and_go_on():
    """Both counters are needed at once; each SEND with acquire takes one of each."""
    program = [assemble(Op.SEND, dest=1, acquire=1), assemble(Op.SEND, dest=1), END]
    log = run(program, {0: [("token", 0, 0, 0)], 1: [("token", 0, 1, 0)], 20: [("credit", 0)],
                        30: [("credit", 1)], 40: [("credit", 2)], 50: [("credit", 0)]},
              masks=(0, 0b101), credits=(0, 0, 1))
    first = [issue.cycle for issue in log.issues if issue.fields["acquire"]]
    assert len(log.issues) == 4 and log.order("send") == [0, 0, 1, 1]
    # The counter is raised at the end of the cycle; pick, act, register.
    assert first == [20 + 1 + 2, 50 + 1 + 2]


@pytest.mark.parametrize("shift", range(-3, 4))
def test_a_credit_comes_back_while_one_is_spent(shift):
    """None is lost or made: three tokens, three credits in all."""
    program = [assemble(Op.SEND, dest=0, acquire=1), END]
    script = {n: [("token", 0, n, 0)] for n in range(4)}
    script[6 + shift] = [*script.get(6 + shift, []), ("credit", 0)]
    script[7 + shift] = [*script.get(7 + shift, []), ("credit", 0)]
    log = run(program, script, masks=(1,), credits=(1, 0, 0))
    assert log.order("send") == [0, 1, 2]


def test_load_locks_the_array_until_mvm():
    """Between a slot's LOAD and its MVM no other slot gets the array; other units go on."""
    program = [assemble(Op.LOAD, src=0, length=16, macros=1),
               assemble(Op.LOAD, src=1, length=16, macros=2), sfu(),
               assemble(Op.MVM, macros=3, steps=1), sfu(1), END]
    log = run(program, {0: [("token", 0, 0, 0)], 1: [("token", 0, 1, 0)], 2: [("token", 0, 2, 0)]},
              cycles=200, latency=5)
    assert [(issue.sequence, issue.op) for issue in log.issues if issue.unit == "array"] == [
        (n, op) for n in range(3) for op in (Op.LOAD, Op.LOAD, Op.MVM)]
    # The next slot's first LOAD does not wait for the SFU.
    arrays = [issue for issue in log.issues if issue.unit == "array"]
    assert arrays[3].cycle < arrays[2].cycle + 5 + 3 + 5


@pytest.mark.parametrize(("flags", "executed"), [
    (0, [0, 1, 4]), (Flag.FREE, [2, 4]), (Flag.POISON, [4]), (Flag.FREE | Flag.STREAM, [2, 3, 4]),
    (Flag.STREAM, [0, 1, 3, 4]), (Flag.QUIET, [0, 4])])
def test_skip_and_need(flags, executed):
    effectless = Flag.FREE | Flag.POISON
    program = [assemble(Op.WAIT, operand=0, packets=1),
               sfu(0, skip=effectless), sfu(1, skip=effectless | Flag.QUIET),
               sfu(2, need=Flag.FREE), sfu(3, need=Flag.STREAM, skip=Flag.POISON), sfu(4), END]
    log = run(program, {0: [("token", 0, 1, 1)], 2: [("packet", 0, 0, int(flags))]})
    assert [issue.fields["a_addr"] for issue in log.issues] == executed
    assert log.traces[0][1]["flags"] == flags


def test_late_flags_wait_for_the_next_wait():
    """A packet between SCORE and the SFU's that takes its sums away changes neither."""
    program = [assemble(Op.WAIT, operand=0, packets=1), assemble(Op.SCORE, skip=Flag.POISON),
               sfu(0, skip=Flag.POISON), assemble(Op.WAIT, operand=1, packets=1),
               sfu(1, skip=Flag.POISON), sfu(2), END]
    for late in range(3, 24, 2):
        log = run(program, {0: [("token", 0, 1, 1)], 2: [("packet", 0, 0, 0)],
                            late: [("packet", 0, 1, int(Flag.POISON))]}, latency=4)
        done = [(issue.fields.get("a_addr"), issue.flags) for issue in log.issues]
        assert done == ([(2, Flag.POISON)] if late == 3 else
                        [(None, 0), (0, 0), (2, Flag.POISON)])


def test_need_takes_all_its_flags():
    both = Flag.STREAM | Flag.QUIET
    program = [assemble(Op.WAIT, operand=0, packets=1), sfu(1, need=both), sfu(2), END]
    log = run(program, {0: [("token", 0, 1, 1)], 2: [("packet", 0, 0, int(Flag.STREAM))]})
    assert [issue.fields["a_addr"] for issue in log.issues] == [2]


def test_poison_sticks():
    program = [assemble(Op.APPEND, head=1), sfu(0, skip=Flag.POISON), sfu(1), END]
    log = run(program, {0: [("token", 0, 1, 1)], 3: [("token", 0, 2, 1)]},
              poison=lambda issue: issue.op == Op.APPEND and issue.sequence == 1)
    assert [(i.sequence, i.fields["a_addr"], i.flags) for i in log.issues if i.unit == "sfu"] == [
        (1, 1, Flag.POISON), (2, 0, 0), (2, 1, 0)]
    assert [trace["flags"] for _, trace in log.traces] == [Flag.POISON, 0]


LIST = [{"x": n + 1, "y": 9 - n, "counter": 3 * n} for n in range(5)]


def test_end_credits_and_trace():
    stages = [{"slot_first": 0, "slot_count": 2, "base": 0, "stride": 4, "credit_first": 1,
               "credit_count": 3},
              {"slot_first": 2, "slot_count": 2, "base": 8, "stride": 4, "credit_first": 4,
               "credit_count": 1}]
    log = run([END], {0: [("token", 0, 5, 6)], 3: [("token", 1, 7, 8)]}, stages=stages,
              credit_list=LIST)
    assert log.credits == [*LIST[1:4], LIST[4]]
    assert [(trace["stage"], trace["sequence"], trace["position"]) for _, trace in log.traces] == [
        (0, 5, 6), (1, 7, 8)]


def test_end_waits_for_the_credits_of_the_last():
    """Credits of two ENDs never mix; slots are freed as soon as their credits are under way."""
    stages = [{"slot_first": 0, "slot_count": 1, "base": 0, "stride": 4, "credit_count": 2}]
    log = run([END], {0: [("token", 0, 1, 0)], 4: [("token", 0, 2, 0)], 8: [("token", 0, 3, 0)]},
              stages=stages, credit_list=LIST, credit_ready=lambda cycle: cycle > 15)
    assert log.credits == [*LIST[:2], *LIST[:2]]
    assert log.found == [(0, 0), (0, 0), None]
    first, second = (cycle for cycle, _ in log.traces)
    assert first < 6 and second > 16


def test_active_until_the_last_credit_has_gone():
    """The core's clock may stop no earlier, although its slots are free by then."""
    stages = [{"slot_first": 0, "slot_count": 1, "base": 0, "stride": 4, "credit_count": 2}]
    log = run([END], {3: [("token", 0, 1, 0)]}, stages=stages, credit_list=LIST, cycles=40,
              credit_ready=lambda cycle: cycle > 20)
    assert log.credits == LIST[:2]
    busy = [cycle for cycle, active in enumerate(log.active) if active]
    assert busy == [*range(busy[0], busy[-1] + 1)]
    assert busy[0] == 4 and 21 <= busy[-1] <= 24 and log.traces[0][0] < 9


@pytest.mark.parametrize(("members", "own"), [
    (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (128, [0, 36, 100, 127])])
@pytest.mark.parametrize(("ring", "sequence"), [(0, 3), (1, 0), (1, 3)])
def test_local_tokens(members, own, ring, sequence):
    """KV tokens up to the position whose block belongs to this member, counted one by one."""
    size = MACHINE.block_tokens
    positions = [0, 1, size - 1, size, 2 * size - 1, 2 * size, 3 * size + 5, 7 * size + 2]
    if members > 8:
        positions = [36 * size, 100 * size + 4, 101 * size, 127 * size + 1, 229 * size + 2]
    for member in own:
        log = run([assemble(Op.SCORE), END],
                  {8 * n: [("token", 0, sequence, position)]
                   for n, position in enumerate(positions)},
                  kv={"members": members, "member": member, "ring": ring}, cycles=80)
        assert [(i.position, i.tokens) for i in log.issues] == [
            (position, sum((t // size + ring * sequence) % members == member
                           for t in range(position + 1)))
            for position in positions]


@pytest.mark.parametrize("seed", range(4))
def test_random_programs(seed):
    """Every token executes what its flags allow, in program order; none overtakes another where
    both execute; no token is lost."""
    rng = random.Random(seed)
    program = [assemble(Op.WAIT, operand=0, packets=1)]
    loading = False
    while len(program) < 14:
        op = rng.choice([Op.SFU, Op.SFU, Op.SEND, Op.LOAD, Op.MVM, Op.SCORE])
        if op == Op.LOAD or (op == Op.MVM and loading):
            loading = op == Op.LOAD
        elif op == Op.MVM or (op == Op.SCORE and loading):
            continue
        extra = {"src": len(program)} if op in (Op.SEND, Op.LOAD, Op.SCORE) else (
            {"a_addr": len(program)} if op == Op.SFU else {"step": len(program)})
        if op == Op.SEND:
            extra |= {"dest": 0, "acquire": 1}
        # A LOAD and its MVM are executed together or not at all.
        skip = Flag.FREE if op in (Op.LOAD, Op.MVM) else rng.choice([0, Flag.FREE, Flag.QUIET])
        program.append(assemble(op, skip=int(skip), **extra))
    if loading:
        program.append(assemble(Op.MVM, skip=int(Flag.FREE), step=len(program)))
    sends = sum(disassemble(word)[0] == Op.SEND for word in program)
    program.append(END)
    tokens, script, cycle = [], defaultdict(list), 0
    for n in range(4):
        flags = rng.choice([0, 0, int(Flag.FREE), int(Flag.QUIET)])
        tokens.append(flags)
        script[cycle].append(("token", 0, n, 0))
        script[cycle + 2 + rng.randrange(2)].append(("packet", n, 0, flags))
        cycle += rng.randrange(4, 9)
    for _ in range(4 * sends):
        cycle += rng.randrange(3, 9)
        script[cycle].append(("credit", 0))
    wait = [rng.random() < 0.6 for _ in range(97)]
    log = run(program, script, cycles=cycle + 500, masks=(1,), latency=rng.randrange(1, 6),
              accepts=lambda unit, cycle: wait[(cycle * 3 + len(unit)) % 97])
    words = {word: n for n, word in enumerate(program)}
    place = {}
    for issue in log.issues:
        place.setdefault(issue.sequence, []).append(words[assemble(issue.op, **{
            name: value for name, value in issue.fields.items() if name != "op"})])
    for n, flags in enumerate(tokens):
        assert place.get(n, []) == [
            k for k, word in enumerate(program)
            if disassemble(word)[0] in UNIT_OF and not disassemble(word)[1]["skip"] & flags]
    assert len(log.traces) == 4
    for k in range(len(program)):
        took = [issue.sequence for issue in log.issues if words[assemble(issue.op, **{
            name: value for name, value in issue.fields.items() if name != "op"})] == k]
        # Tokens with equal flags keep their order at every instruction.
        for flags in set(tokens):
            same = [n for n in took if tokens[n] == flags]
            assert same == sorted(same)
