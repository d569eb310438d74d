"""``ouroboros baseline``: list, run, check, fit; what is refused, in one sentence."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.baselines.systems import BASELINES
from ouroboros.sw.cli.main import cli

HEAD = "kind,model,batch,tensor_parallel,input_tokens,output_tokens,tokens_per_s\n"


def call(*words, code=0):
    shown = CliRunner().invoke(cli, ["baseline", *map(str, words)])
    assert shown.exit_code == code, shown.output
    return shown.output


def test_list():
    shown = call("list", "-v")
    for name in BASELINES:
        assert name in shown
    assert "312 TFLOPS" in shown and "arXiv 2604.10852" in shown


@pytest.mark.parametrize("name", BASELINES)
def test_run(name, tmp_path):
    out = tmp_path / "r.json"
    shown = call("run", name, "--lengths", "64:32", "--requests", 40, "--spread", 0, "--json", out)
    found = json.loads(out.read_text())
    assert found["output_tokens"] == 40 * 32
    assert found["output_tokens_per_s"] == pytest.approx(1280 / found["seconds"])
    assert f"{found['output_tokens_per_s']:,.0f} generated tokens/s" in shown
    for one in found["energy"]:
        assert one["joules_per_output_token"] == pytest.approx(one["joules"] / 1280)
        assert one["source"]


def test_run_a_trace(tmp_path):
    trace, out = tmp_path / "t.csv", tmp_path / "r.json"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,10,5\n100,10,5\n")
    call("run", "dgx-a100", "--trace", trace, "--json", out)
    slow = json.loads(out.read_text())
    call("run", "dgx-a100", "--trace", trace, "--rate", "inf", "--json", out)
    fast = json.loads(out.read_text())
    assert slow["seconds"] > 100 > 1 > fast["seconds"]
    assert slow["e2e_s"]["p50"] == pytest.approx(fast["e2e_s"]["p50"], rel=0.05)


def test_another_constant():
    assert call("run", "dgx-a100", "--requests", 9, "--set", "peak_tflops=1") != call(
        "run", "dgx-a100", "--requests", 9)


def test_check(tmp_path):
    out = tmp_path / "c.json"
    shown = call("check", "--json", out)
    found = json.loads(out.read_text())
    assert {"fitted", "held out"} < {one["status"] for one in found["checks"]}
    assert "tpu-v4: no error: no batched throughput" in shown
    assert "attacc: no error" in shown


def test_fit_and_check_with_points(tmp_path):
    points, out = tmp_path / "p.csv", tmp_path / "f.json"
    rows = [(1, 40), (16, 560), (64, 1500)]
    points.write_text(HEAD + "".join(
        f"static,{model},{batch},1,128,128,{rate}\n"
        for model in ("llama-13b", "llama-7b") for batch, rate in rows))
    shown = call("fit", "--points", points, "--fit-model", "llama-13b", "--free", "layer_us",
                 "--free", "sequence_us", "--json", out)
    found = json.loads(out.read_text())
    assert set(found["constants"]) == {"layer_us", "sequence_us"}
    assert len(found["fitted"]["points"]) == len(found["held_out"]["points"]) == 3
    assert "fitted: 3 points, mean error" in shown and "held out: 3 points" in shown
    out = tmp_path / "c.json"
    call("check", "--points", points, "--json", out)
    assert "llama-7b, 3 static points" in {
        one["what"] for one in json.loads(out.read_text())["checks"]}


@pytest.mark.parametrize("words, message", [
    (("run", "dgx-a100", "--lengths", "5"),
     "lengths must be two numbers of at least 1, IN:OUT, not '5'"),
    (("run", "dgx-a100", "--set", "x=1"), "constant must be one of devices, peak_tflops, "),
    (("run", "dgx-a100", "--set", "layer_us"), "a constant must be given as name=number"),
    (("run", "dgx-a100", "--set", "peak_tflops=0"), "peak_tflops must be above 0, not 0"),
    (("run", "wse2", "--batch", "4"), "batch and tensor_parallel must not be given for wse2"),
    (("run", "dgx-a100", "--rate", "0"), "rate must be above 0, not 0"),
    (("run", "dgx-a100", "--model", "t5-11b"), "kind of model 't5-11b' must be 'decoder' or "),
    (("fit", "--points", "absent.csv"), "absent.csv")])
def test_refusals(words, message):
    assert message in call(*words, code=2)


@pytest.mark.parametrize("row, message", [
    ("static,llama-13b,1,1,1,128", "line 2: must have 7 fields"),
    ("other,llama-13b,1,1,1,128,5", "line 2: kind must be one of static, requests, not 'other'"),
    ("static,llama-13b,1,1,1,128,0", "line 2: tokens_per_s must be 1e-06 to 1e+09, not '0'"),
    ("static,gpt-9,1,1,1,128,5", "model must be one of"),
    ("static,llama-13b,1,3,1,128,5", "tensor_parallel must be one of 1, 2, 4, 8 on dgx-a100"),
    ("static,llama-13b,1,1,1,128,5", "points must be at least 5 to fit"),
    ("", "points must be at least 5 to fit")])
def test_points_with_faults(tmp_path, row, message):
    path = tmp_path / "p.csv"
    path.write_text(HEAD + row + "\n")
    free = ("--free", "layer_us") if "at least" not in message else ()
    assert message in call("fit", "--points", path, *free, code=2)


def test_a_model_without_points(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(HEAD + "static,llama-13b,1,1,1,128,50\n")
    assert "must have points of model 'llama-7b', which --fit-model names" in call(
        "fit", "--points", path, "--fit-model", "llama-7b", code=2)
