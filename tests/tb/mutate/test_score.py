"""Mutants of the adder tree, the whole way: yosys, Verilator, bench, verdicts, proofs."""

import re
import shutil
from dataclasses import replace

import pytest

from ouroboros.tb.mutate.blocks import BLOCKS
from ouroboros.tb.mutate.score import MutationError, score

needs_yosys = pytest.mark.skipif(shutil.which("yosys") is None, reason="not installed: yosys")
TREE = BLOCKS["tree"]


@needs_yosys
@pytest.mark.sim
def test_mutants_of_the_tree(tmp_path):
    """Every verdict is of one mutant, and says what failed."""
    found = score(TREE, tmp_path, count=20, seed=1)
    assert len(found.killed) + len(found.equal) + len(found.alive) == 20
    assert len(found.killed) >= 15 and found.share > 0.9
    assert all(verdict.startswith("random_beats: ") or verdict.startswith("the simulation")
               for verdict in found.killed.values())
    assert all(one.place.startswith("hw/array/tree.py") for one in found.killed)


@needs_yosys
@pytest.mark.sim
def test_a_bench_that_fails_on_the_block_itself_gives_no_score(tmp_path):
    texts = TREE.bench.sources()
    broken = texts | {"adder_tree": re.sub(r"i__payload\[", "~i__payload[", texts["adder_tree"],
                                           count=1)}
    block = replace(TREE, bench=replace(TREE.bench, sources=lambda: broken))
    with pytest.raises(MutationError, match="must pass on block tree as it is"):
        score(block, tmp_path, count=2, seed=1)


def test_blocks_are_parts_of_their_designs():
    for name, within in (("ingress", "network_interface_ingress"), ("array", "array_unit")):
        block = BLOCKS[name]
        chosen = block.chosen(dict.fromkeys((
            within, f"{within}_kv_manager_tags", "clock_gate", "other"), ""))
        assert within in chosen and "clock_gate" not in chosen and "other" not in chosen
    assert BLOCKS["array"].chosen({"array_unit_kv_manager_page_tags": ""}) == []
    assert BLOCKS["macro"].chosen(dict.fromkeys(("macro", "macro_pair", "macro_twin"), "")) == [
        "macro"]
