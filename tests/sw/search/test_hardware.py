"""Machines of equal silicon: what they hold, and the search of machines and mappings together."""

import json
import sys
from dataclasses import replace
from itertools import product

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli.main import cli
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.hardware import cosearch as module
from ouroboros.sw.search.hardware.areas import load_areas
from ouroboros.sw.search.hardware.cosearch import AGAIN, cosearch
from ouroboros.sw.search.hardware.machines import BUFFER_STEP, GRIDS, LAYOUTS, Chips, built
from ouroboros.sw.search.problem.generate import MakeOptions, make_instance
from ouroboros.sw.search.problem.read import write_instance

BASE = make_instance(MakeOptions(
    model="llama-7b", batch="mixed", decodes=6, per_micro_batch=4, columns=4, rows=3, tiles=2,
    ffn_tiles=4, seed=2))
AREAS = load_areas()


@pytest.mark.parametrize("corner", ["low", "mid", "high"])
def test_a_chip_is_its_parts_added_by_hand(corner):
    """1,024 MACs, 2 MiB at 14.8 Mb/mm2, 64 operations a cycle, a router of 1,024 bits, control."""
    mac, operation = {"low": (2850, 8500), "mid": (4200, 17000), "high": (8400, 137000)}[corner]
    gates = 1024 * mac + 64 * operation + 1024 * 1218 + 1_300_000
    assert load_areas(corner).chip(BASE, BASE.kinds[0]) == pytest.approx(
        gates / (91.2e6 * 0.6) + 2 * 2**20 * 8 / 14.8e6)


def test_every_machine_has_the_silicon_of_the_given_one():
    silicon, seen = AREAS.machine(BASE), 0
    for grid, array, eighths, layout in product(range(len(GRIDS)), range(5), (0, 3, 8), LAYOUTS):
        try:
            found = built(Chips(grid, array, 4 - array, eighths, layout), BASE, AREAS)
        except SearchError:
            continue
        seen += 1
        step = (BUFFER_STEP + 1) * 8 / 14.8e6
        assert 0 <= silicon - AREAS.machine(found) <= found.chips * step
        outputs = sum(found.kinds[kind].type == "os" for kind in found.chip_kind)
        assert outputs == found.chips * eighths // 8
        assert found.micro_batches == BASE.micro_batches and found.link_bw == BASE.link_bw
    assert seen > 150


def test_layouts():
    spread, halves = (built(Chips(4, 0, 0, 4, layout), BASE, AREAS) for layout in LAYOUTS)
    assert spread.chip_kind == tuple((x + y) % 2 for y in range(4) for x in range(4))
    assert halves.chip_kind == tuple(int(x >= 2) for y in range(4) for x in range(4))


def test_larger_buffers_take_more_energy():
    """2 MiB are 2 pJ a byte, 8 MiB 2.6: as the shipped kinds have it."""
    few, many = (built(Chips(grid, 0, 0, 0, "spread"), BASE, AREAS).kinds[0] for grid in (2, 6))
    assert few.buffer > many.buffer and few.e_buf > many.e_buf
    assert 2.0 < few.e_buf < 2.6


def test_an_array_without_room_for_a_buffer_is_refused():
    with pytest.raises(SearchError, match=r"must have at least 65,536 bytes beside an array of "
                                          r"256 x 64, not 0"):
        built(Chips(9, 4, 4, 4, "spread"), BASE, AREAS)


def test_one_seed_one_answer_and_never_worse(monkeypatch):
    monkeypatch.setattr(module, "STARTUP", 3)       # the estimator is asked for the last two
    one, other = (cosearch(BASE, trials=5, evaluations=300, seed=3, threads=1) for _ in range(2))
    assert json.dumps(_timeless(one)) == json.dumps(_timeless(other))
    assert len(one.trials) == 5 and one.change <= 0 and not one.interrupted
    assert len({trial.chips for trial in one.trials}) > 3
    for trial in one.trials:
        assert trial.found is None or trial.bound <= trial.edp
        assert trial.found is not None or trial.why
    # Both are searched alike at last: by more than a trial, and with another seed.
    assert one.before.evaluations == one.after.evaluations == AGAIN * 300
    assert one.after.figures.edp == module.search(
        one.best, evaluations=AGAIN * 300, seed=4, threads=1).figures.edp


def _timeless(found):
    def of(one):
        return {name: value for name, value in one.items() if name not in (
            "seconds", "processor_s")}

    whole = found.as_dict()
    return whole | {"base": of(whole["base"]), "best": of(whole["best"])}


def test_an_interrupted_search_keeps_its_best():
    def stop(what):
        raise KeyboardInterrupt

    found = cosearch(BASE, trials=10, evaluations=200, threads=1, progress=stop)
    assert found.interrupted and found.change <= 0 and found.before.evaluations == 200


def test_a_machine_without_silicon_finds_nothing_better():
    """Chips so small that no other machine can be built: the given one stays."""
    tiny = replace(BASE, kinds=tuple(replace(kind, buffer=2) for kind in BASE.kinds),
                   grid=(2, 1), chip_kind=(0, 1))
    found = cosearch(tiny, trials=3, evaluations=50, threads=1)
    assert found.best is found.base and found.change == 0
    assert all("must have at least" in trial.why for trial in found.trials)


def test_refused_by_name(monkeypatch):
    with pytest.raises(SearchError, match="trials must be at least 1, not 0"):
        cosearch(BASE, trials=0, evaluations=50)
    with pytest.raises(SearchError, match="budget must be above 0, not 0"):
        cosearch(BASE, trials=1, evaluations=0)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SearchError, match=r"Optuna must be installed .* extra 'search'"):
        cosearch(BASE, trials=1, evaluations=50)


def test_the_command(tmp_path):
    path, out, page = (str(tmp_path / name) for name in ("i.json", "o.json", "p.html"))
    write_instance(BASE, tmp_path / "i.json")
    result = CliRunner().invoke(cli, [
        "search", "hardware", "--instance", path, "--trials", "3", "--evaluations", "200",
        "--threads", "1", "--json", str(tmp_path / "r.json"), "--out", out, "--report", page])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["change"] <= 0 and len(found["trials"]) == 3
    assert "against the given machine" in result.stdout
    again = CliRunner().invoke(cli, ["search", "--instance", out, "--evaluations", "800", "--seed",
                                     "1", "--threads", "1"])
    assert again.exit_code == 0 and f"{found['best']['edp']:.4e}" in again.stdout
    refused = CliRunner().invoke(cli, ["search", "hardware"])
    assert refused.exit_code == 2 and "--instance FILE must be given" in refused.output
