"""Instances: read, written, refused by name; costs of layers by hand."""

import json
from pathlib import Path

import pytest

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.costs import check_totals, gemm, moved, on_kind
from ouroboros.sw.search.problem.generate import (
    BATCHES,
    LENGTHS,
    MakeOptions,
    draw_batch,
    make_instance,
)
from ouroboros.sw.search.problem.instance import Energy, Kind, Request
from ouroboros.sw.search.problem.layers import NONE, Layers
from ouroboros.sw.search.problem.mapping import read_mapping, write_mapping
from ouroboros.sw.search.problem.read import read_instance, write_instance

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "compass"
INSTANCES = sorted(path.name for path in PUBLISHED.glob("o*.json"))


@pytest.fixture
def write_changed(make_small, tmp_path):
    """Writer of the small instance with other values; a value of ... leaves its key out."""
    def write(**changes):
        path = tmp_path / "i.json"
        write_instance(make_small(), path)
        found = json.loads(path.read_text())
        for key, value in changes.items():
            *way, last = key.split(".")
            at = found
            for one in way:
                at = at[int(one)] if one.isdigit() else at[one]
            if value is ...:
                del at[last]
            else:
                at[last] = value
        path.write_text(json.dumps(found))
        return path
    return write


def test_what_is_written_is_read(make_small, tmp_path):
    instance = make_small()
    write_instance(instance, tmp_path / "i.json")
    assert read_instance(tmp_path / "i.json") == instance
    assert read_instance(tmp_path / "i.json").digest == instance.digest
    assert make_small(link_bw=5).digest != instance.digest == make_small(name="other").digest


@pytest.mark.parametrize("changes, message", [
    ({"rules": "compass-ref-2"}, "key 'rules' must be 'compass-ref-1', not \"compass-ref-2\""),
    ({"tiles": ...}, "key 'tiles' is missing"),
    ({"extra": 1}, "key 'extra' is unknown: known are grid, kinds"),
    ({"grid": [2]}, "grid must be two whole numbers, not [2]"),
    ({"grid": [300, 1]}, "grid must have 1 to 256 chips, not 300 x 1"),
    ({"chip_kind": [0]}, "chip_kind must have 6 entries, one a chip, not 1"),
    ({"chip_kind": [0, 1, 2, 0, 0, 0]}, "chip_kind[2] must be 0 to 1, not 2"),
    ({"kinds": [{"type": "ws"}]}, "key 'kinds[0].rows' is missing"),
    ({"kinds": [{"type": "is", "rows": 1, "cols": 1, "buffer": 2, "e_buf": 1}]},
     "kinds[0].type must be one of ws, os, not 'is'"),
    ({"energy": 3}, "energy must be an object, not 3"),
    ({"link_bw": 0}, "link_bw must be above 0, not 0"),
    ({"dram_bw": "fast"}, 'dram_bw must be a number of at most 2**40, not "fast"'),
    ({"dram_bw": float("nan")}, "dram_bw must be a number of at most 2**40, not NaN"),
    ({"blocks": True}, "blocks must be a whole number of at most 2**40, not true"),
    ({"tiles": 3}, "tiles must divide model.h = 4, not 3"),
    ({"tiles": 4}, "tiles must divide model.kv = 2, not 4"),
    ({"ffn_tiles": 64}, "ffn_tiles must divide model.d = 32, not 64"),
    ({"micro_batches": []}, "micro_batches must have at least one micro-batch, not none"),
    ({"micro_batches": [[]]}, "micro_batches[0] must have at least one request, not none"),
    ({"micro_batches": [[{"type": "decode", "new": 0, "hist": 1}]]},
     "micro_batches[0][0].new must be at least 1, not 0"),
    ({"check.weight_bytes": 5}, "check.weight_bytes must be 18,432, as the rules count, not 5"),
    ({"check.more": 5}, "check.more must be one of layers, micro_batches"),
])
def test_broken_instances_are_one_sentence(write_changed, changes, message):
    path = write_changed(**changes)
    if not any(key.startswith("check") for key in changes):
        found = json.loads(path.read_text())
        del found["check"]
        path.write_text(json.dumps(found))
    with pytest.raises(SearchError) as error:
        read_instance(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.json").write_text("[1, 2]")
    with pytest.raises(SearchError, match=r"a\.json: must hold one JSON object, not \[1, 2\]"):
        read_instance(tmp_path / "a.json")
    with pytest.raises(SearchError, match=r"none\.json: cannot be read"):
        read_instance(tmp_path / "none.json")


def test_times_that_do_not_fit_are_refused(make_small):
    with pytest.raises(SearchError, match=r"^small: times must be below 2\*\*54 units of 1/\d+ "):
        Problem(make_small(link_bw=3.141592653589793, dram_bw=2.718281828459045))


@pytest.mark.skipif(not INSTANCES, reason="the published instances do not lie beside the checkout")
@pytest.mark.parametrize("name", INSTANCES)
def test_totals_of_published_instances(name):
    wanted = json.loads((PUBLISHED / name).read_text())["check"]
    assert check_totals(read_instance(PUBLISHED / name)) == wanted


def test_mappings_are_written_and_read(make_small, make_mapping, tmp_path):
    instance, path = make_small(), tmp_path / "m.json"
    mapping = make_mapping(instance, 1)
    write_mapping(mapping, instance, path)
    again = read_mapping(path, instance)
    assert (again.cuts == mapping.cuts).all() and (again.chips == mapping.chips).all()
    with pytest.raises(SearchError, match="the mapping was made for another instance"):
        read_mapping(path, make_small(link_bw=5))
    found = json.loads(path.read_text())
    found["layer_to_chip"][1][3] = 6
    path.write_text(json.dumps(found))
    with pytest.raises(SearchError, match=r"layer_to_chip\[1\]\[3\] must be 0 to 5, not 6$"):
        read_mapping(path, instance)


def test_layers_of_a_block(make_small):
    layers = Layers(make_small())           # two tiles, four of the feed-forward matrices
    assert layers.sizes.tolist() == [1, 2, 2, 2, 1, 4, 4, 1] * 2
    assert layers.single[:8].tolist() == [NONE, 0, 0, 1, 2, NONE, NONE, NONE]
    assert layers.single[16:20].tolist() == [7, 16, 17, 17]
    assert layers.single[17 + 7] == 16      # res1 of the second block reads res2 of the first
    assert layers.whole[[5, 6, 7, 12, 16]].tolist() == [2, 2, 3, 5, 6]
    assert layers.last_reader[[0, 1, 3, 7, 16, 33]].tolist() == [2, 3, 6, 16, 24, NONE]


@pytest.mark.parametrize("type_, cycles, bytes_", [
    # 10 x 20 times 20 x 9 on 8 rows and 4 columns: 3 down, 3 across, 2 tall.
    ("ws", 3 * 3 * 10, 200 * 3 + 180 + 4 * 90 * 5), ("os", 2 * 3 * 20, 200 * 3 + 180 * 2 + 90)])
def test_product_by_hand(type_, cycles, bytes_):
    kind = Kind(type=type_, rows=8, cols=4, buffer=2, e_buf=1.0)
    assert gemm(kind, (10, 20, 9)) == (cycles, bytes_)


def test_weights_or_inputs_are_read_again_whichever_is_less(make_small):
    instance = make_small()
    energy = Energy(e_mac=1.0, e_eltwise=0.0, e_hop=0.0, e_dram=0.0, eltwise_per_cycle=1)
    work = moved(instance, [Request(type="prefill", new=10, hist=0)], "ffn1", first=True, last=True)
    assert (work.weights, work.input, work.output) == (32 * 32, 320, 160)
    for buffer, wanted in ((1504, (1, 1, True)), (1503, (1, 1, False)), (512, (4, 1, False)),
                           (200, (1, 4, False))):
        kind = Kind(type="os", rows=4, cols=4, buffer=buffer, e_buf=0.0)
        cost = on_kind(work, kind, energy)
        assert (cost.input_reads, cost.weight_reads, cost.keeps) == wanted
        assert cost.energy_pj == 10 * 32 * 32


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_batches_are_drawn_by_seed(batch, lengths):
    options = MakeOptions(batch=batch, lengths=lengths, prefills=3, decodes=40, seed=4)
    found = draw_batch(options)
    assert found == draw_batch(options)
    assert found != draw_batch(MakeOptions(batch=batch, lengths=lengths, prefills=3, decodes=40,
                                           seed=5))
    decodes = [one.hist for one in found if one.type == "decode"]
    assert decodes == sorted(decodes, reverse=True)
    assert len(decodes) == (0 if batch == "prefill" else 40)
    chunks = [one for one in found if one.type == "prefill"]
    assert len(chunks) == (0 if batch == "decode" else 3)
    if batch == "chunked":
        assert all(one.new <= 512 and one.hist % 512 == 0 for one in chunks)


@pytest.mark.parametrize("changes, message", [
    ({"batch": "prefill", "prefills": 0}, "a batch of prefill must have at least one request"),
    ({"model": "bert-large"}, "bert-large: must be a decoder"),
    ({"tiles": 5}, "tiles must divide model.h = 32, not 5")])
def test_impossible_instances(changes, message):
    with pytest.raises(SearchError, match=f"^{message}"):
        make_instance(MakeOptions(**changes))
