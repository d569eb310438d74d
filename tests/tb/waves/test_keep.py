"""Where the waves of a run go, and windows that it did not reach."""

import re

import pytest

from ouroboros.sw.runtime.waves import WavesError, parse_cores, parse_window, resolved
from ouroboros.tb.waves.keep import keep
from ouroboros.tb.waves.planted import planted_job


@pytest.mark.parametrize(("window", "what"), [("9000:9100", "cycles 9000:9100"),
                                              ("9000:", "cycles 9000:"), ("token 99", "token 99")])
def test_a_window_outside_the_run(tmp_path, window, what):
    noted = tmp_path / "recorded"
    noted.write_text("end 4321\n")
    message = f"waves_window must lie inside the run, which ended in cycle 4,321; {what} is not"
    with pytest.raises(WavesError, match=re.escape(message)):
        keep(planted_job(tmp_path / "w.fst", window), tmp_path, noted)


@pytest.mark.parametrize("text", ["5", "5:5", "-1:5", "a:b", "token", "token x", "stage ", "1:2:3"])
def test_windows_that_are_none(text):
    with pytest.raises(WavesError, match=re.escape(f"not {text!r}")):
        parse_window(text)


def test_windows():
    assert parse_window("5:9").first == 5 and parse_window("5:9").last == 9
    assert parse_window("5:").last is None and parse_window("token 3").token == 3
    assert parse_window("stage l0.qkv").stage == "l0.qkv"
    assert parse_cores("1,2; 3,4;1,2") == ((1, 2), (3, 4)) and parse_cores("") == ()


def test_a_stage_is_its_cores_and_the_first_token(tmp_path):
    job = planted_job(tmp_path / "w.fst", "stage l0.kv.1", "")
    assert job.waves.cores == ((4, 1),) and job.waves.window.token == 0
    every = planted_job(tmp_path / "w.fst", "", "").waves
    assert len(every.cores) == 7
    assert resolved(every, job.program) == every
