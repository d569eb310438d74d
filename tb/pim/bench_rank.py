"""Heads of several lengths on a rank, written, worked on and read back, against the golden model.

Reads SIZE, TOKENS (a comma between the heads'), STAGGERED, EXP_BITS and STALL from the
environment.
"""

import os
from dataclasses import replace

import cocotb
import numpy as np

from ouroboros.hw.lib.library import Library
from ouroboros.hw.params.pim import SCORE_BITS
from ouroboros.hw.pim.job import JobOp
from ouroboros.hw.pim.rank import Rank
from ouroboros.sw.golden.pim import attend, combine, scores_of
from ouroboros.tb.lib.agent import seeded
from ouroboros.tb.lib.cosim import CocotbDut
from ouroboros.tb.pim.agent import RankAgent
from ouroboros.tb.pim.sizes import SIZES
from ouroboros.tb.pim.story import SE, compare, golden, make_rounds, play, store


@cocotb.test()
async def heads(dut):
    """Every sum is the golden model's, in every order of halves; vectors come back as written."""
    pim, rng = SIZES[os.environ["SIZE"]], seeded()
    exp_bits = int(os.environ["EXP_BITS"])
    agent = RankAgent(await CocotbDut.started(dut, Rank(pim, Library())), pim, rng=rng,
                      staggered=os.environ["STAGGERED"] == "1", stall=float(os.environ["STALL"]))
    rounds = make_rounds(pim, [int(one) for one in os.environ["TOKENS"].split(",")],
                         rng.randrange(1 << 30))
    await store(agent, rounds)
    play(agent, rounds, exp_bits=exp_bits)
    await agent.finished()
    for one in rounds:
        assert compare(agent.contexts(), golden(one, exp_bits=exp_bits))
    for one in rounds:
        for value, row, vectors in ((False, one.key_row, one.k), (True, one.value_row, one.v)):
            token = rng.randrange(one.tokens)
            assert (await agent.read(row, token, value=value) == vectors[:, token]).all()


@cocotb.test()
async def queries_from_banks(dut):
    """Queries that lie in the banks as K of tokens give what queries of the host give."""
    pim, rng = SIZES[os.environ["SIZE"]], seeded()
    agent = RankAgent(await CocotbDut.started(dut, Rank(pim, Library())), pim, rng=rng)
    one, = make_rounds(pim, [pim.banks + 3], rng.randrange(1 << 30))
    await store(agent, [one])
    for query in range(pim.queries):
        agent.store(pim.rows - 1, one.q[:, query:query + 1], value=False, first=query * pim.banks)
    agent.job(JobOp.LOAD, row=pim.rows - 1, half=1)
    agent.job(JobOp.SCORE, row=one.key_row, tokens=one.tokens, half=1)
    agent.job(JobOp.CONTEXT, row=one.value_row, tokens=one.tokens, half=1, me=one.me, se=SE)
    await agent.finished()
    assert compare(agent.contexts(), golden(one))


@cocotb.test()
async def a_split_head(dut):
    """Tokens here, and others elsewhere: with the larger maximum, sums add up to the whole's."""
    pim, rng = SIZES[os.environ["SIZE"]], seeded()
    agent = RankAgent(await CocotbDut.started(dut, Rank(pim, Library())), pim, rng=rng)
    whole, = make_rounds(pim, [2 * pim.banks + 5], rng.randrange(1 << 30))
    cut = pim.banks + 1
    here = replace(whole, k=whole.k[:, :cut], v=whole.v[:, :cut])
    tops = np.array([[scores_of(q, k[cut:]).max() for q in queries]
                     for queries, k in zip(whole.q, whole.k, strict=True)])
    await store(agent, [here])
    agent.queries(0, whole.q)
    agent.job(JobOp.SCORE, row=here.key_row, tokens=cut)
    await agent.finished()
    own = agent.dut.get("tops")[0]
    agent.job(JobOp.CONTEXT, row=here.value_row, tokens=cut, me=whole.me, se=SE, floor=tops)
    await agent.finished()
    found, wanted = agent.contexts(), golden(whole)
    for slot in range(pim.slots):
        for query in range(pim.queries):
            top = own[slot][query]
            rest = attend(whole.q[slot, query], whole.k[slot, cut:], whole.v[slot, cut:],
                          int(whole.me[slot, query]), SE,
                          floor=top - (1 << SCORE_BITS) * (top >> (SCORE_BITS - 1)))
            both = combine([found[slot][query], rest])
            assert (both.values == wanted[slot][query].values).all()
            assert (both.sums == wanted[slot][query].sums).all()
