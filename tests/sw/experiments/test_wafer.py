"""The paper's experiments: switches that act, rows that say why, files that resume."""

import itertools
import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ouroboros.sw.cli.main import cli
from ouroboros.sw.experiments.wafer.all import ALL
from ouroboros.sw.experiments.wafer.draw import svg
from ouroboros.sw.experiments.wafer.experiment import Curve, Experiment, Finding, Picture, Row
from ouroboros.sw.experiments.wafer.measure import Place, measure, tokens_per_s
from ouroboros.sw.experiments.wafer.traffic import MIXES, as_requests, drawn
from ouroboros.sw.lib.errors import OuroborosError

TERMS = {"mix", "clock_ghz", "array_read", "border_ns", "border_gb_s", "array_factor", "grain",
         "assumptions", "static_tokens", "ring", "headroom_blocks", "encoder_copies",
         "encoder_inputs_waiting"}
"""What rows may name as the reason of a deviation: options of a place, or a technology's figure."""
SMALL = Place(model="llama-7b", members=4, mix="100:30", requests=60)


def made_up(place, n):
    """A result of the right form whose values are not the paper's."""
    if place.system != "wafer":
        return {"output_tokens_per_s": 100.0 + n, "joules_per_output": [["one", 1.0], ["two", 0.4]],
                "requests": 1, **{key: {"p50": 0.1, "p99": 0.2}
                                  for key in ("ttft_s", "tpot_s", "e2e_s")}}
    energy = {corner: {"dynamic_per_output": 0.01 * (k + 1), "leakage_w": 500.0, "array_share": 0.9,
                       "watts": 1000.0, "joules_per_output": 0.02 * (k + 1)}
              for k, corner in enumerate(("low", "mid", "high"))}
    return {"output_tokens_per_s": 9000.0 + 100 * n, "clock_ghz": place.clock_ghz, "energy": energy,
            "pipeline_share": 0.5, "recomputed_share": 0.1, "kv_tokens": 1000, "members": 3,
            "copies": 2,
            "latency_cycles": 5, "sequences": 2.0, "kv_share": 0.5, "goodput_requests_per_s": 3.0,
            **{key: {"p50": 0.1, "p99": 0.2} for key in ("ttft_s", "tpot_s", "e2e_s")}}


@pytest.mark.parametrize("name", ALL)
def test_rows_say_why(name):
    """Every row far from the paper's figure names a term that a place, or a file, can switch."""
    places = ALL[name].places(())
    assert len({json.dumps(place.point()) for place in places.values()}) <= len(places)
    for place in places.values():
        assert Place.of(json.loads(json.dumps(place.point()))) == place
    figures = {one: made_up(place, n) for n, (one, place) in enumerate(places.items())}
    found = ALL[name].find(figures)
    assert found.rows and found.words
    for row in found.rows:
        if row.far or row.paper is not None:
            named = re.search(r"terms?: ([\w, ]+?)(?:[;,(]| \(|$)", row.why)
            refused = row.why.startswith("refused:")
            assert refused or (named and named[1].split(",")[0].split(" ")[0] in TERMS), row
    for curve in found.picture.curves:
        assert len(curve.y) == len(found.picture.x)
    assert svg(found.picture) == svg(found.picture)


def test_far_is_15_percent():
    assert not Row(what="", paper=1.0, ours=1.149).far and Row(what="", paper=1.0, ours=1.151).far
    assert Row(what="", paper=-84, ours=-60).far and not Row(what="", paper=None, ours=3).far


def test_paper_s_figures_are_the_paper_s():
    """PAPERS: gains of 5.4, 2.8 and 5.4; energy of -84, -82, -78 and -66 %."""
    places = ALL["paper"].places(())
    rows = ALL["paper"].find({one: made_up(place, n)
                              for n, (one, place) in enumerate(places.items())}).rows
    ratio = {row.what: row.paper for row in rows if "gain of" in row.what}
    first = ratio[f"gain of llama-33b / gain of llama-13b, {MIXES[0]}"]
    assert first == pytest.approx(0.52, abs=0.01)
    assert ratio[f"gain of llama-65b / gain of llama-13b, {MIXES[3]}"] == 1.0
    assert {row.paper for row in rows if row.what.endswith("%")} == {-84, -82, -78, -66}


def test_traffic_is_one_for_all():
    for mix in MIXES:
        one = drawn(mix, 50)
        assert one.input_tokens.tolist() == as_requests(one).prompts.tolist()
    timed = drawn("chat", 2000, rate=20)
    assert timed.arrival_s[-1] / 2000 == pytest.approx(1 / 20, rel=0.1)


@pytest.mark.long
@pytest.mark.parametrize(("switch", "slower"), [
    ({"array_factor": 4.0}, True), ({"border_ns": 700.0}, True), ({"border_gb_s": 1.0}, True),
    ({"grain": "sequence"}, True), ({"static_tokens": 4096}, True),
    ({"assumptions": (("busiest_link_share", 0.5),)}, True), ({"members": 3}, None)])
def test_switches_act(switch, slower):
    base = measure(SMALL.point())
    point = {**SMALL.point(), **json.loads(json.dumps(switch))}
    changed = measure(point)
    rates = base["output_tokens_per_s"], changed["output_tokens_per_s"]
    assert rates[1] != rates[0]
    if slower is not None:
        assert (rates[1] < rates[0]) == slower
    assert changed["requests"] + changed["requests_refused"] == 60


def test_caps_and_clocks():
    found = measure(SMALL.point())
    for clock, cap in itertools.product((0.25, 1.0), (5600.0, 23000.0)):
        rate = tokens_per_s(found, clock_ghz=clock, cap_w=cap)
        energy = found["energy"]["mid"]
        assert rate * energy["dynamic_per_output"] + energy["leakage_w"] <= cap * (1 + 1e-9) or \
            rate == tokens_per_s(found, clock_ghz=clock)
    assert tokens_per_s(found, clock_ghz=0.5) == pytest.approx(found["output_tokens_per_s"] / 2)
    assert tokens_per_s(found, cap_w=100.0) == 0


def test_encoders():
    """One result an input, on both machines; waiting room and copies are switches."""
    base = Place(model="bert-large", mix="128:1", requests=60)
    found, theirs = measure(base.point()), measure(replace(base, system="dgx-a100").point())
    assert found["requests"] == theirs["requests"] == 60
    assert found["copies"] > 20 and found["tpot_s"] is None
    one = measure(replace(base, assumptions=(("encoder_copies", 1.0),)).point())
    assert one["output_tokens_per_s"] < found["output_tokens_per_s"]
    # Room for more inputs in a copy takes cores from others.
    roomy = measure(replace(base, assumptions=(("encoder_inputs_waiting", 4.0),)).point())
    assert roomy["copies"] < found["copies"]
    with pytest.raises(OuroborosError, match="output_tokens must be 1 for an encoder"):
        measure(replace(base, mix="chat").point())
    with pytest.raises(OuroborosError, match="array_factor, border_ns and border_gb_s must be "):
        measure(replace(base, array_factor=4.0).point())


def test_encoder_decoders_and_unknown_systems_are_refused():
    with pytest.raises(OuroborosError, match="kind of model 't5-11b' must be 'decoder' for the "
                                             "wafer model, not 'encoder-decoder'"):
        measure(Place(model="t5-11b").point())
    with pytest.raises(OuroborosError, match="system must be wafer or one of dgx-a100, "):
        measure(Place(system="tpu-v9").point())


def test_command(tmp_path, monkeypatch):
    runs = []

    def find(figures):
        runs.append(figures)
        value = figures["a"]["output_tokens_per_s"]
        return Finding(
            rows=(Row(what="a | b", paper=2.0, ours=value, why="term: mix", form=".0f"),),
            words="So.", picture=Picture(title="t", x=("a",), x_title="", y_title="",
                                         curves=(Curve(name="c", y=(value,)),)))

    monkeypatch.setitem(ALL, "toy", Experiment(
        name="toy", title="A toy", places=lambda traces: {"a": SMALL}, find=find))
    command = ["experiments", "toy", "--out", str(tmp_path), "--json", str(tmp_path / "all.json")]
    first = CliRunner().invoke(cli, command)
    assert first.exit_code == 0, first.output
    names = ("toy.md", "toy.svg", "toy.json")
    held = [(tmp_path / name).read_bytes() for name in names]
    assert b"| a / b | 2 | " in held[0] and b"<svg" in held[1]
    monkeypatch.setattr("ouroboros.sw.experiments.wafer.experiment.measure", None)
    again = CliRunner().invoke(cli, command)
    assert again.exit_code == 0, again.output
    assert [(tmp_path / name).read_bytes() for name in names] == held and runs[0] == runs[1]


@pytest.mark.parametrize(("arguments", "message"), [
    (["papr"], "experiment must be one of paper, ablation, "),
    (["traces", "--trace", "absent.csv"], "absent.csv"),
    (["defects", "--on", "cloud"], "on must be here, local or dask://HOST[:PORT], not 'cloud'")])
def test_refused(tmp_path, arguments, message):
    result = CliRunner().invoke(cli, ["experiments", *arguments, "--out", str(tmp_path)])
    assert result.exit_code == 2 and message in result.stderr


def test_listed():
    result = CliRunner().invoke(cli, ["experiments"])
    assert result.exit_code == 0 and all(name in result.output for name in ALL)
