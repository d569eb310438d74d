"""Mutants of a module of a few lines: what is chosen, what it does, what is proved equal."""

import shutil
import tomllib
from dataclasses import replace

import pytest

from ouroboros.tb.mutate.explained import (
    ROOT,
    ExplainedError,
    change,
    explain,
    load_explained,
)
from ouroboros.tb.mutate.netlist import CHOICE, Mutant, listed, mutated, place_of, proved_equal
from ouroboros.tb.mutate.score import Score

SAMPLE = {"sample": """module sample(clk, rst, a, b, q, r);
  input clk, rst; // hw/lib/queue.py:1
  input [3:0] a, b;
  output reg [3:0] q = 0; // hw/lib/queue.py:20
  output r;
  wire [3:0] sum = a + b; // hw/lib/queue.py:21
  assign r = a[0] & 1'b1;
  reg [3:0] hidden = 0;
  always @(posedge clk) begin // hw/lib/queue.py:22
    q <= sum;
    hidden <= q ^ a;
  end
endmodule
"""}
needs_yosys = pytest.mark.skipif(shutil.which("yosys") is None, reason="not installed: yosys")
ONE = Mutant(number=1, options="", mode="inv", cell="$add", port="A[0]", wire="", module="queue",
             place="hw/lib/queue.py:1")


@needs_yosys
@pytest.mark.long
def test_mutants_of_a_sample(tmp_path):
    mutants = listed("sample", SAMPLE, ["sample"], tmp_path, 40, 1)
    assert [one.number for one in mutants] == [*range(1, len(mutants) + 1)]
    assert {"$add", "$dff"} <= {one.cell for one in mutants}
    assert not any("clk" in one.wire or one.port.startswith("CLK") for one in mutants)
    assert {one.place for one in mutants if one.cell == "$add"} == {"hw/lib/queue.py:21"}
    assert listed("sample", SAMPLE, ["sample"], tmp_path, 40, 1) == mutants
    text = mutated("sample", mutants, tmp_path)["sample"]
    assert f"input [{len(mutants).bit_length() - 1}:0] {CHOICE};" in text
    adds = [one for one in mutants if one.cell == "$add" and one.mode == "inv"]
    assert adds and not proved_equal(adds[0], tmp_path)
    # What nobody reads: yosys has no output, so the change is none.
    unread = replace(adds[0], options=adds[0].options.replace("-mode inv", "-mode none"))
    assert proved_equal(unread, tmp_path)


def test_place_of_a_line_is_that_of_the_last_comment():
    places = {3: "hw/a.py:1", 7: "hw/b.py:2"}
    assert [place_of(places, line) for line in (1, 3, 6, 7, 99)] == [
        "", "hw/a.py:1", "hw/a.py:1", "hw/b.py:2", "hw/b.py:2"]


def test_score_counts_what_is_not_proved_equal():
    two, three, four = (replace(ONE, number=n) for n in (2, 3, 4))
    found = Score(block="b", seeds=1, killed={ONE: "x", two: "y"}, equal=(three,), alive=(four,))
    assert found.share == 2 / 3
    assert Score(block="b", seeds=1, killed={}, equal=(three,), alive=()).share == 1.0


def test_survivors_are_explained_by_their_line(tmp_path):
    line, reason = explain(ONE, {})
    text = (ROOT / "hw/lib/queue.py").read_text().splitlines()[0]
    assert (line, reason) == (f"hw/lib/queue.py: {text}", "")
    assert explain(ONE, {(line, change(ONE)): "because"}) == (line, "because")
    assert explain(replace(ONE, port="A[1]"), {(line, change(ONE)): "because"})[1] == ""
    path = tmp_path / "survivors.toml"
    for entry, message in (
            ('file = "hw/lib/queue.py"\nline = "no such line"\nchange = "x"\nreason = "y"',
             "line must be one of hw/lib/queue.py, not 'no such line'"),
            ('file = "hw/lib/queue.py"\nline = "x"', "must have file, line, change and reason")):
        path.write_text(f"[[survivor]]\n{entry}\n")
        with pytest.raises(ExplainedError, match=message):
            load_explained(path)


def test_what_is_explained_is_there():
    load_explained()
    entries = tomllib.loads((ROOT / "tb/mutate/survivors.toml").read_text())["survivor"]
    assert all(len(entry["reason"]) > 20 for entry in entries)
