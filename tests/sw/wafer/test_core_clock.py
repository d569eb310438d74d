import json

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.wafer.wafer import EstimateOptions, estimate_wafer
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.wafer.core_clock import core_sizes, read_core_clock

DIE, WAFER = load_machine("die"), load_machine("wafer")
GOOD = {"core": core_sizes(DIE), "whole": True, "clock_ghz": {"low": 0.2, "mid": 0.4, "high": 0.8}}


def written(tmp_path, **other):
    path = tmp_path / "ppa.json"
    path.write_text(json.dumps(GOOD | other))
    return path


def test_a_die_and_the_wafer_have_one_core(tmp_path):
    assert read_core_clock(written(tmp_path), WAFER) == 0.4


def test_an_estimate_takes_its_clock_from_the_report(tmp_path):
    path = written(tmp_path)
    slow = estimate_wafer(EstimateOptions(ppa=path)).best
    assert slow.clock_hz == 0.4e9
    assert slow.interval_cycles == estimate_wafer(EstimateOptions()).best.interval_cycles
    assert estimate_wafer(EstimateOptions(ppa=path, clock_ghz=0.5)).best.clock_hz == 0.5e9


@pytest.mark.parametrize(("other", "message"), [
    ({"clock_ghz": 1.0},
     "must have the keys 'core', 'whole' and 'clock_ghz', as ouroboros ppa writes them"),
    ({"core": core_sizes(load_machine("tiny"))},
     "key 'core' must be that of machine 'wafer': run ouroboros ppa wafer"),
    ({"whole": False}, (
        "key 'whole' must be true, since the slowest block may be one that was left out: run "
        "ouroboros ppa without --block")),
    ({"clock_ghz": {"mid": 0}}, "key 'clock_ghz.mid' must be a positive number, not 0"),
], ids=["keys", "core", "whole", "clock"])
def test_reports_that_cannot_be_used(tmp_path, other, message):
    path = written(tmp_path, **other)
    with pytest.raises(PerfError) as error:
        read_core_clock(path, WAFER)
    assert str(error.value) == f"{path}: {message}"
