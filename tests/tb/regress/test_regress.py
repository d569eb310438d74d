"""Failures that begin with what failed, coverage by lines of Python, cases, and the test plan."""

import json
import re
from types import SimpleNamespace

import pytest

from ouroboros.tb.flow.build import SimulationError
from ouroboros.tb.regress.benches import BENCHES
from ouroboros.tb.regress.cases import CASES, merged
from ouroboros.tb.regress.coverage import (
    CoverageError,
    explained,
    lines_of,
    load_reasons,
    points,
)
from ouroboros.tb.regress.page import write_page
from ouroboros.tb.regress.plan import PlanError, load_plan
from ouroboros.tb.regress.run import Row, failure, regress

VERILOG = """module m(a);
  input a; // hw/lib/queue.py:3
  always @* begin // hw/lib/queue.py:5
    if (a) x = 1;
    else x = 2;
  end
  wire b = a; // hw/lib/queue.py:9
endmodule
"""


def point(file, line, page, count):
    return f"C '\x01f\x02{file}\x01l\x02{line}\x01page\x02v_{page}/m\x01o\x02x\x01h\x02TOP' {count}"


@pytest.fixture
def coverage(tmp_path):
    """Two runs of one module: file of each."""
    source = tmp_path / "m.sv"
    source.write_text(VERILOG)
    files = []
    for n, counts in enumerate([(1, 0, 0, 0), (0, 0, 2, 0)]):
        files.append(tmp_path / f"{n}.dat")
        files[-1].write_text("# SystemC::Coverage-3\n" + "\n".join([
            point(source, 4, "branch", counts[0]), point(source, 4, "branch", counts[1]),
            point(source, 2, "toggle", counts[2]), point(source, 7, "toggle", counts[3])]) + "\n")
    return files


def test_lines_of_two_runs_add_up(coverage):
    lines = {line.number: line for line in lines_of(coverage)}
    assert {n: (a.branches, a.reached, a.bits, a.toggled) for n, a in lines.items()} == {
        3: (0, 0, 1, 1), 5: (2, 1, 0, 0), 9: (0, 0, 1, 0)}
    assert [n for n, line in lines.items() if line.unreached] == [9]
    assert {n for n, line in lines.items() if not line.unreached} == {3, 5}
    assert [n for n, line in ((a.number, a) for a in lines_of(coverage[:1]))
            if line.unreached] == [3, 9]


def test_kinds_of_points(coverage):
    assert [kind for _, _, kind, _ in points(coverage[0].read_text())] == [
        "branch", "branch", "toggle", "toggle"]


def test_reasons_are_of_lines_that_are_there(coverage, tmp_path):
    lines = lines_of(coverage)
    [(line, reason)] = explained(lines, {})
    assert (line.number, reason) == (9, "")
    assert explained(lines, {(line.file, line.text): "since"})[0][1] == "since"
    path = tmp_path / "unreached.toml"
    path.write_text('[[line]]\nfile = "hw/lib/queue.py"\nline = "nothing"\nreason = "none"\n')
    with pytest.raises(CoverageError, match=r"line must be one of hw/lib/queue\.py, not 'nothing'"):
        load_reasons(path)
    path.write_text('[[line]]\nfile = "hw/lib/queue.py"\n')
    with pytest.raises(CoverageError, match="must have file, line and reason"):
        load_reasons(path)


def test_reasons_of_the_project_are_of_its_lines():
    load_reasons()


def test_cases_that_are_met_once_are_met(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text(json.dumps(["kv", "FREE", "done"]) + "\n")
    second.write_text(json.dumps(["kv", "APPEND", "full"]) + "\n"
                      + json.dumps(["kv", "APPEND", "unheard of"]) + "\n")
    kv = {one.group: one for one in merged([first, second])}["kv"]
    assert kv.seen == {("FREE", "done"), ("APPEND", "full")}
    assert len(kv.missing) == len(CASES["kv"][1]) - 2 and ("LOOKUP", "found") in kv.missing


def test_a_page_with_all_of_it(coverage, tmp_path):
    lines = lines_of(coverage)
    rows = [Row(bench="tree", sim="icarus", passed=1, failures=("tree: got <1>",))]
    write_page(tmp_path / "deep" / "page.html", rows, merged([]), lines, explained(lines, {}))
    text = (tmp_path / "deep" / "page.html").read_text()
    assert "tree: got &lt;1&gt;" in text and "hw/lib/queue.py:9" in text
    assert "LOOKUP found" in text


RESULTS = """<testsuites><testsuite><testcase name="random_traffic">
<failure error_msg="{}"/></testcase></testsuite></testsuites>"""


@pytest.mark.parametrize(("said", "expected"), [
    ("rsp: item 3: got 7, expected 9", ["tree: random_traffic: rsp: item 3", "  got       7",
                                         "  expected  9"]),
    ("it hangs", ["tree: random_traffic: it hangs"])])
def test_a_failure_begins_with_what_failed(said, expected, tmp_path):
    run = tmp_path / "runs" / "x"
    run.mkdir(parents=True)
    (run / "results.xml").write_text(RESULTS.format(f"AssertionError: {said}"))
    built = SimpleNamespace(directory=tmp_path, tool=SimpleNamespace(name="icarus"))
    text = failure(BENCHES["tree"], built, {"STALL": "0.5"}, 7, SimulationError("1 of 1"))
    assert text.splitlines() == [
        *expected, "  seed      7, stall 0.5, icarus",
        "  replay    ouroboros regress tree --on icarus --seeds 1 --first 7"]


@pytest.mark.sim
def test_a_broken_tree_is_a_row_with_what_failed(monkeypatch):
    """The whole way: a tree whose first leaf is inverted, in Icarus."""
    bench = BENCHES["tree"]
    good = regress([bench], ["icarus"], [1, 2])
    assert [(row.runs, row.passed) for row in good] == [(2, 2)]
    texts = bench.sources()
    name = "adder_tree"
    broken = re.sub(r"i__payload\[", "~i__payload[", texts[name], count=1)
    assert broken != texts[name]
    monkeypatch.setattr(type(bench), "sources", property(lambda self: lambda: {
        **texts, name: broken}))
    [row] = regress([bench], ["icarus"], [1])
    assert row.passed == 0 and row.failures[0].startswith("tree: random_beats")
    assert "--first 1" in row.failures[0]


@pytest.mark.sim
def test_verilator_counts_lines_of_the_tree():
    [row] = regress([BENCHES["tree"]], ["verilator"], [1], coverage=True)
    lines = lines_of(row.coverage)
    assert {line.file for line in lines} == {"hw/array/tree.py"}
    assert sum(line.branches for line in lines) and not explained(lines, {})


def test_the_plan_names_tests_that_are_there():
    plan = load_plan()
    assert len({one.requirement for one in plan}) == len(plan) > 20


@pytest.mark.parametrize(("entry", "message"), [
    ('requirement = "r"\nwhere = "hw/README.md"\ntests = ["tests/none.py"]', "tests/none.py"),
    ('requirement = "r"\nwhere = "hw/README.md"\ntests = ["tests/hw/lib/test_queue.py::test_no"]',
     "test_no"),
    ('requirement = "r"\nwhere = "hw/none.md"\ntests = ["tests/hw/lib/test_queue.py"]',
     "hw/none.md"),
    ('requirement = "r"\nwhere = "hw/README.md"\ntests = []', "at least one test")])
def test_a_plan_that_names_nothing_is_refused(entry, message, tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(f"[[item]]\n{entry}\n")
    with pytest.raises(PlanError, match=message):
        load_plan(path)

