"""Proofs of the KV manager's parts for ever, of the whole for a few commands."""

from dataclasses import replace

import pytest

from ouroboros.hw.kv.append import TokenAppender
from ouroboros.hw.kv.bitmap import BlockBitmap
from ouroboros.hw.kv.pool import BlockPool
from ouroboros.hw.kv.tags import PageTags
from ouroboros.hw.params.cim import CimParams
from ouroboros.hw.params.kv import KvParams
from ouroboros.hw.params.machine import load_machine
from ouroboros.tb.formal.broken import broken
from ouroboros.tb.formal.kv import ManagerProof, PoolProof, TagsProof
from ouroboros.tb.formal.prove import prove

pytestmark = pytest.mark.formal

TINY = load_machine("tiny")
# Two macros of two K blocks, two V row blocks, two column slots; three pages for eight keys.
SMALLEST = replace(TINY, cim=CimParams(rows=16, outputs=8, active_rows=8),
                   core=replace(TINY.core, macros=2),
                   kv=KvParams(sequences=2, heads=2, blocks=2, pages=3))


@pytest.mark.parametrize("pages", [3, 5])
def test_tags(pages):
    machine = replace(SMALLEST, kv=replace(SMALLEST.kv, pages=pages))
    found = prove(TagsProof(machine), f"kv_tags{pages}", depth=6, invariant=True)
    assert found.held, found.log
    assert found.for_ever


def test_pool():
    found = prove(PoolProof(SMALLEST), "kv_pool", depth=8, invariant=True)
    assert found.held, found.log
    assert found.for_ever


def test_manager():
    found = prove(ManagerProof(SMALLEST), "kv_manager", depth=14)
    assert found.held, found.log


@pytest.mark.parametrize("proof, block, changes, depth", [
    pytest.param(TagsProof(SMALLEST), PageTags, {"free": lambda n, old: 0}, 6,
                 id="page 0 is given always"),
    pytest.param(TagsProof(SMALLEST), PageTags, {"of_block": lambda n, old: n["of_head"]}, 6,
                 id="blocks are not compared"),
    pytest.param(PoolProof(SMALLEST), BlockPool, {"full": lambda n, old: old | n["follows"]}, 6,
                 id="full though there is room"),
    pytest.param(PoolProof(SMALLEST), BlockBitmap, {"passed": lambda n, old: 0}, 20,
                 id="a word is read before it is written"),
    pytest.param(PoolProof(SMALLEST), BlockBitmap, {"empty": lambda n, old: 0}, 20,
                 id="words outlive a wipe"),
    pytest.param(ManagerProof(SMALLEST), TokenAppender, {
        "new_tokens": lambda n, old: n["tokens"]}, 14, id="a token is forgotten"),
    pytest.param(ManagerProof(SMALLEST), PageTags, {"among": lambda n, old: n["of_block"]}, 14,
                 id="free takes one block alone"),
])
def test_proofs_can_fail(proof, block, changes, depth, request):
    name = "kv_" + request.node.callspec.id.replace(" ", "_")
    found = prove(broken(proof, block, changes), name, depth=depth)
    assert not found.held
    assert "Assert failed" in found.log
