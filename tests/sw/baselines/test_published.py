"""Baselines against published figures: what was fitted, what was held out, how far off."""

import numpy as np
import pytest

from ouroboros.sw.baselines.devices import work_of
from ouroboros.sw.baselines.dgx_a100 import DGX_A100
from ouroboros.sw.baselines.errors import BaselineError
from ouroboros.sw.baselines.fit import EXCHANGE, SINGLE, errors, fit
from ouroboros.sw.baselines.points import Point, predicted, read_points
from ouroboros.sw.baselines.published import UNPUBLISHED, check_dgx, check_wse2
from ouroboros.sw.baselines.systems import BASELINES, DEVICES
from ouroboros.sw.baselines.traffic import equal
from ouroboros.sw.baselines.wse2 import DECODE, WSE2
from ouroboros.sw.models.shape import load_shape


def found(checks, what, status):
    [one] = [check for check in checks if check.what == what and check.status == status
             and "v0.1" not in check.source]
    return one


@pytest.mark.parametrize("what, status, most", [
    ("llama-13b, requests, batch 128", "held out", 0.10),
    ("llama-7b, requests, batch 256", "held out", 0.10),
    ("llama-2-70b, requests, batch 256", "held out", 0.20),
    ("llama-2-70b, requests, batch 256", "exchange refitted", 0.10)])
def test_requests_of_the_dgx(what, status, most):
    assert abs(found(check_dgx(), what, status).error) <= most


@pytest.mark.parametrize("model, status, most", [
    ("llama-13b", "fitted", 0.03), ("internlm-20b", "fitted (exchange)", 0.03),
    ("llama-7b", "held out", 0.10), ("llama-2-70b", "held out", 0.18),
    ("llama-2-70b", "exchange refitted", 0.10)])
def test_static_points_of_the_dgx(lmdeploy, model, status, most):
    points = read_points(lmdeploy)
    assert len(points) == 80
    assert found(check_dgx(points), f"{model}, 20 static points", status).error <= most


def test_the_shipped_constants_are_those_of_the_fit(lmdeploy):
    points = read_points(lmdeploy)
    own = {model: [p for p in points if p.model == model]
           for model in ("llama-13b", "internlm-20b", "llama-2-70b")}
    for model, free, corner in (("llama-13b", SINGLE, "mid"), ("internlm-20b", EXCHANGE, "mid"),
                                ("llama-2-70b", EXCHANGE, "other")):
        again = fit(DGX_A100, own[model], free)
        for name, value in again.constants.items():
            shipped = getattr(DGX_A100.constants, name)
            [other] = {*shipped.spread} - {shipped.mid} if corner == "other" else {shipped.mid}
            assert value == pytest.approx(other, rel=5e-3), name


@pytest.mark.parametrize("check", check_wse2(), ids=lambda check: check.what.replace(" ", ""))
def test_wse2(check):
    assert check.most <= (0.08 if "decode" in check.what else 0.15)


def test_constants_of_the_wse2_are_those_of_three_grids():
    """Three figures, three constants: solved, not chosen."""
    shape = load_shape("llama-13b")
    rows = [[shape.n_layers, shape.n_layers * side, work_of(shape).body / side ** 2]
            for side in DECODE["llama-13b"]]
    solved = np.linalg.solve(rows, [1 / rate for rate in DECODE["llama-13b"].values()])
    c = WSE2.constants
    assert solved == pytest.approx([c.layer_us.mid * 1e-6, c.row_ns.mid * 1e-9,
                                    c.product_ns.mid * 1e-9], rel=1e-4)


def test_every_baseline_is_checked_or_says_why_not():
    checked = {check.baseline for check in [*check_dgx(), *check_wse2()]}
    assert checked | UNPUBLISHED.keys() == BASELINES.keys()
    assert not checked & UNPUBLISHED.keys()


def test_one_sequence_at_a_time():
    served = WSE2.serve(load_shape("llama-13b"), equal(3, 2048, 128))
    assert served.tokens_per_s == pytest.approx(537.1, rel=1e-3)
    assert np.diff(served.finish_s) == pytest.approx([served.finish_s[0]] * 2)
    assert served.joules_per_token()["100% of full power"] == pytest.approx(
        15000 / served.tokens_per_s)


def test_a_fit_finds_what_made_the_points():
    """Points of a machine with other constants; noise has no say."""
    true = {"flops_share": 0.55, "kv_share": 0.6, "corner": 4.0, "layer_us": 30.0,
            "sequence_us": 40.0}
    machine = type(DGX_A100)(name="own", title="own", constants=DGX_A100.constants.with_values(
        true, "made up"))
    points = [Point(kind="static", model="llama-13b", batch=batch, tensor_parallel=1,
                    input_tokens=prompt, output_tokens=output, tokens_per_s=1.0, source="")
              for batch in (1, 16, 64) for prompt, output in ((1, 128), (128, 512), (2048, 64))]
    points = [Point(**{**point.as_dict(), "tokens_per_s": predicted(machine, point)})
              for point in points]
    again = fit(DGX_A100, points[::2], SINGLE, points[1::2])
    assert again.constants == pytest.approx(true, rel=0.02)
    assert again.fitted.mean < 1e-3 and again.held_out.mean < 5e-3
    assert fit(DGX_A100, points[::2], SINGLE).constants == again.constants
    assert errors(again.devices, points[:1]).most < 1e-2


@pytest.mark.parametrize("count, free, words", [
    (1, ("flops_share", "corner"), "points must be at least 2 to fit flops_share, corner, not 1"),
    (3, ("exchange_us",), "points must have some with tensor_parallel above 1"),
    (1, ("peak_tflops",), "constant to fit must be one of flops_share, ")])
def test_fits_that_cannot_be(count, free, words):
    point = Point(kind="static", model="llama-13b", batch=1, tensor_parallel=1, input_tokens=1,
                  output_tokens=4, tokens_per_s=50, source="")
    with pytest.raises(BaselineError, match=words):
        fit(DEVICES["dgx-a100"], [point] * count, free)
