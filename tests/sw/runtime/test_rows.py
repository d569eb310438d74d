from dataclasses import replace

import numpy as np
import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.mapper.mapper import map_model
from ouroboros.sw.program.program import Detours
from ouroboros.sw.program.vectors import unpack_vector
from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.runtime.rows import token_packets

TINY = load_machine("tiny")
MODELS = {}


@pytest.fixture
def wide(make_checkpoint):
    if not MODELS:
        MODELS["wide"] = quantise(make_checkpoint(dim=32, hidden_dim=40, n_layers=1, n_heads=2,
                                                  n_kv_heads=2, vocab_size=29, seq_len=40))
    return MODELS["wide"]


@pytest.mark.parametrize(("position", "rope"), [(0, 0), (7, 7), (39, 39), (40, 39)])
def test_rows_of_a_token(wide, position, rope):
    """Every slice of the residual gets its channels, and the RoPE row where it is passed on; a
    position past the table, which computes nothing, takes its last row."""
    program = map_model(TINY, wide, placement="split")
    assert len(program.embed) == 2
    packets = token_packets(program, wide, token=5, sequence=3, position=position, flags=2)
    for target in program.embed:
        mine = [p for p in packets if (p.header["dst_x"], p.header["dst_y"]) == target.core]
        slot = {}
        for packet in mine:
            header = packet.header
            assert {name: header[name] for name in (
                "src_x", "src_y", "stage", "operand", "sequence", "position", "flags")} == {
                "src_x": 0, "src_y": 1, "stage": target.stage, "operand": 0, "sequence": 3,
                "position": position, "flags": 2}
            slot |= {header["offset"] + n: flit for n, flit in enumerate(packet.payload)}
        vectors = {0: wide.embedding[5][target.first:target.first + target.channels]}
        if target.rope_offset >= 0:
            vectors[target.rope_offset] = wide.rope[rope]
        assert len(slot) == sum(-(-16 * len(v) // 128) for v in vectors.values())
        for offset, vector in vectors.items():
            flits = [slot[offset + n] for n in range(-(-16 * len(vector) // 128))]
            assert np.array_equal(unpack_vector(flits, 16, len(vector), 128), vector)
    assert any(target.rope_offset > 0 for target in program.embed)


def test_rows_go_by_the_way_to_their_core(wide):
    program = map_model(TINY, wide)
    core = program.embed[0].core
    sent = replace(program, detours=Detours(there={core: (4, 2)}, back={}, writes=()))
    assert {(p.header["way_x"], p.header["way_y"]) for p in token_packets(
        sent, wide, token=0, sequence=0, position=0, flags=0)} == {(4, 2)}
