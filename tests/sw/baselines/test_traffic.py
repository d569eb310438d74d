"""Traffic: files with faults are refused by line; drawn lengths have the means asked for."""

import numpy as np
import pytest

from ouroboros.sw.baselines.traffic import Traffic, chat, read_traffic
from ouroboros.sw.lib.errors import OuroborosError

HEAD = "arrival_s,input_tokens,output_tokens\n"


def test_a_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(HEAD + "0,5,1\n0.5,7,2\n0.5,1,3\n")
    found = read_traffic(path)
    assert found.arrival_s.tolist() == [0, 0.5, 0.5]
    assert found.input_tokens.tolist() == [5, 7, 1]
    assert found.output_tokens.tolist() == [1, 2, 3]
    assert found.scaled(2).arrival_s.tolist() == [0, 0.25, 0.25]
    assert found.scaled(np.inf).arrival_s.tolist() == [0, 0, 0]
    assert found.share(1, 2).input_tokens.tolist() == [7]


@pytest.mark.parametrize("rows, words", [
    ("", "must have at least one request, not 0"),
    ("1,5,1\n0.5,7,2\n",
     "line 3: arrival_s must be at least 1, when the request before arrived, not '0.5'"),
    ("0,0,1\n", "line 2: input_tokens must be 1 to 16,777,216, not '0'"),
    ("0,5,x\n", "line 2: output_tokens must be a whole number, not 'x'"),
    ("nan,5,1\n", "line 2: arrival_s must be 0 to 1e+09, not 'nan'"),
    ("0,5\n", "line 2: must have 3 fields, as the head line has, not 2")])
def test_faults(tmp_path, rows, words):
    path = tmp_path / "t.csv"
    path.write_text(HEAD + rows)
    with pytest.raises(OuroborosError) as caught:
        read_traffic(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_arrays_with_faults():
    with pytest.raises(OuroborosError, match="request 2 must not arrive before request 1"):
        Traffic(arrival_s=np.array([1.0, 0.0]), input_tokens=np.ones(2, int),
                output_tokens=np.ones(2, int), source="s")


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.5])
def test_means_hold_after_the_cut(spread):
    found = chat(3000, 246.9, 232.7, spread=spread)
    assert found.input_tokens.mean() == pytest.approx(246.9, rel=2e-3)
    assert found.output_tokens.mean() == pytest.approx(232.7, rel=2e-3)
    assert found.input_tokens.max() <= 1024
    assert (chat(3000, 246.9, 232.7, spread=spread).output_tokens == found.output_tokens).all()
