"""Least squares with a set held out, and the calibration file against the formulas."""

import datetime

import pytest

from ouroboros.hw.params.machine import load_machine
from ouroboros.hw.params.timing.sfu import PIPELINE_CYCLES, TRACK_CYCLES
from ouroboros.sw.perf.calibration import (
    CALIBRATION,
    Constant,
    Sample,
    fit,
    read_calibration,
    write_calibration,
)
from ouroboros.sw.perf.errors import PerfError
from ouroboros.sw.perf.walk import HOP_CYCLES


def line(*points):
    return [Sample((x, 1.0), 8 * x + 5) for x in points]


def test_fit_foretells_what_it_has_not_seen():
    found = fit(line(1, 2, 7), line(100))
    assert found.coefficients == pytest.approx((8, 5))
    assert (found.fitted_percent, found.held_out_percent) == pytest.approx((0, 0), abs=1e-9)


def test_held_out_error_is_that_of_the_held_out_samples():
    found = fit(line(1, 2, 7), [Sample((10, 1), 100)])
    assert found.held_out_percent == pytest.approx(15)
    assert found.fitted_percent == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("samples", "held_out", "message"), [
    (line(3, 3), line(1), "samples must determine 2 coefficients, not 1"),
    (line(1, 2), [], "held-out samples must be at least one, not none")])
def test_refused(samples, held_out, message):
    with pytest.raises(PerfError) as error:
        fit(samples, held_out)
    assert str(error.value) == message


def test_file(tmp_path):
    path = tmp_path / "calibration.toml"
    written = {"macro": {"fixed_cycles": Constant(4.0, "cycles", "a test", "2026-01-31")}}
    write_calibration(written, path)
    assert read_calibration(path) == written
    path.write_text("[macro.fixed_cycles]\nvalue = 4.0\nunit = 'cycles'\ndate = 2026-01-31\n")
    with pytest.raises(PerfError, match=r"calibration.toml: macro.fixed_cycles.source must be a "
                                        r"str, not None"):
        read_calibration(path)


def test_measured_constants_are_those_of_the_formulas():
    """What ``ouroboros calibrate`` found on RTL is what the models count with."""
    found = read_calibration()
    values = {f"{group}.{name}": constant.value for group, constants in found.items()
              for name, constant in constants.items()}
    cim = load_machine("wafer").cim
    assert values == pytest.approx({
        "macro.cycles_per_row_group": cim.command_cycles(1), "macro.fixed_cycles": cim.fill_cycles,
        "sfu.cycles_per_beat": 1, "sfu.read_c_cycles": 1, "sfu.write_c_cycles": TRACK_CYCLES,
        "sfu.fixed_cycles": PIPELINE_CYCLES,
        "router.cycles_per_hop": HOP_CYCLES, "router.cycles_per_flit": 1}, abs=0.01)
    for constants in found.values():
        for constant in constants.values():
            assert "held out" in constant.source
            assert datetime.date.fromisoformat(constant.date)
    assert CALIBRATION.is_file()
