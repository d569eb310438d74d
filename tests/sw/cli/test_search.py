"""``ouroboros search`` on a small made instance."""

import contextlib
import json
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli import main
from ouroboros.sw.cli.search import search

MAKE = ("make", "--model", "llama-7b", "--batch", "mixed", "--decodes", "6", "--per-micro-batch",
        "4", "--columns", "3", "--rows", "2", "--tiles", "2", "--ffn-tiles", "4", "--out", "i.json")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(main.cli, ["search", *arguments])

    assert call(*MAKE).exit_code == 0
    return call


def test_a_mapping_with_its_bound_and_its_files(run):
    result = run("--instance", "i.json", "--evaluations", "1500", "--seed", "2", "--json", "r.json",
                 "--out", "m.json", "--trace", "t.json", "--report", "p.html")
    assert result.exit_code == 0, result.output
    found = json.loads(Path("r.json").read_text())
    assert found["schema"] == "ouroboros-search-1"
    assert found["search"]["bound_edp"] <= found["edp"] == found["search"]["edp"]
    assert "above the bound" in result.stdout and "no mapping is below" in result.stdout
    again = run("--instance", "i.json", "--mapping", "m.json", "--json", "again.json")
    assert again.exit_code == 0, again.output
    assert json.loads(Path("again.json").read_text())["edp"] == found["edp"]
    events = [one for one in json.loads(Path("t.json").read_text())["traceEvents"]
              if one["ph"] == "X"]
    mapping = json.loads(Path("m.json").read_text())
    assert len(events) == sum(map(len, mapping["layer_to_chip"]))
    assert max(one["ts"] + one["dur"] for one in events) == pytest.approx(found["latency_cycles"])
    for chip in range(6):
        mine = sorted((one["ts"], one["dur"]) for one in events if one["tid"] == chip)
        assert all(a + b <= c + 1e-6 for (a, b), (c, _) in pairwise(mine))
    page = Path("p.html").read_text()
    assert page.count("<svg") == 2 and f"{found['edp']:.4e}" in page


def test_front(run):
    result = run("--instance", "i.json", "--evaluations", "3000", "--front", "--json", "r.json")
    assert result.exit_code == 0, result.output
    assert "None is better in both" in result.stdout
    found = json.loads(Path("r.json").read_text())
    assert min(one["edp"] for one in found["front"]) <= found["edp"]


def test_an_interrupted_search_is_kept_and_says_so(run, monkeypatch):
    @contextlib.contextmanager
    def interrupt():
        def update(spent, best):
            raise KeyboardInterrupt
        yield update

    monkeypatch.setattr(search, "search_progress", interrupt)
    result = run("--instance", "i.json", "--seconds", "600", "--out", "m.json", "--json", "r.json")
    assert result.exit_code == 130, result.output
    assert "interrupted, best so far kept" in " ".join(result.stdout.split())
    found = json.loads(Path("r.json").read_text())["search"]
    assert found["interrupted"] and found["bound_edp"] <= found["edp"]
    assert run("--instance", "i.json", "--mapping", "m.json").exit_code == 0


def test_compare(run):
    result = run("compare", "i.json", "--evaluations", "400", "--search-evaluations", "3000",
                 "--seeds", "2", "--json", "r.json")
    assert result.exit_code in (0, 1), result.output
    found = json.loads(Path("r.json").read_text())
    [row] = found["instances"]
    assert row["worst_edp"] == max(one["edp"] for one in row["search"])
    better = [name for name, one in row["baselines"].items() if one["edp"] < row["worst_edp"]]
    assert row["beaten_by"] == better and result.exit_code == bool(better)
    assert {"repo_pipeline", "best_of_families", "ga_published", "gemini_like", "set_like",
            "random"} < {*row["baselines"]}


def test_reproduce(run):
    result = run("reproduce", "i.json", "--evaluations", "500", "--json", "r.json", "--plot",
                 "f.svg")
    assert result.exit_code == 0, result.output
    found = json.loads(Path("r.json").read_text())
    [row] = found["instances"]
    assert [*row["ablation_edp"]] == ["random", "seeded", "contention", "blocks", "rows"]
    assert all(one >= 1 - 1e-12 for one in row["price_of_contention"].values())
    assert "-63.12%" in result.stdout and "no public material" in " ".join(result.stdout.split())
    assert "ouroboros search reproduce" in Path("f.svg").read_text()[:4096]


@pytest.mark.parametrize("arguments, message", [
    ((), "--instance FILE must be given: layers, chips and batch as JSON"),
    (("--instance", "i.json", "--evaluations", "0"), "budget must be above 0, not 0"),
    (("--instance", "i.json", "--seconds", "0"), "budget must be above 0, not 0.0"),
    (("--instance", "i.json", "--seconds", "1", "--evaluations", "5"),
     "budget must be seconds or evaluations, one of the two"),
    (("compare",), "at least one instance must be given: a file of JSON"),
    (("--instance", "none.json"), "none.json: cannot be read"),
])
def test_bad_input_is_one_sentence(run, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr and "Traceback" not in result.stderr
