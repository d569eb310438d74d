"""Shares of the run's cycles, worked by hand."""

import pytest

from ouroboros.sw.report import utilisation


def test_states_add_up_to_the_run(program, result):
    rows = utilisation.stages(program, result)
    assert [row.cycles for row in rows] == [
        {"busy": 20, "waiting": 10, "blocked": 40, "idle": 130},
        {"busy": 100, "waiting": 60, "blocked": 20, "idle": 20},
        {"busy": 30, "waiting": 5, "blocked": 0, "idle": 165}]
    for row in rows:
        assert sum(row.percent.values()) == pytest.approx(100)
    assert rows[1].percent == {"busy": 50, "waiting": 30, "blocked": 10, "idle": 10}


def test_counters_that_run_on_do_not_break_the_sum(program, result):
    result.cycles = 170
    [row] = [row for row in utilisation.stages(program, result) if row.stage.name == "l0.qkv"]
    assert row.cycles["idle"] == 0
    assert sum(row.percent.values()) == pytest.approx(100)


def test_kinds_are_means_in_pipeline_order(program, result):
    rows = utilisation.stages(program, result)
    found = utilisation.kinds([rows[0], rows[1], rows[2], rows[1]])
    assert [(kind.kind, kind.stages) for kind in found] == [("embed", 1), ("qkv", 2), ("lm", 1)]
    assert found[0].percent == {"busy": 10, "waiting": 5, "blocked": 20, "idle": 65}


def test_slowest_is_busiest_first(program, result):
    rows = utilisation.stages(program, result)
    assert [row.stage.name for row in utilisation.slowest(rows, 2)] == ["l0.qkv", "lm.0"]


def test_no_clock_no_rows(program, result):
    result.cycles = None
    assert utilisation.stages(program, result) == []
    assert utilisation.table([]) == ""


def test_events_are_sums_over_cores(result):
    totals = utilisation.event_totals(result)
    assert totals["array_group_cycles"] == 20
    assert "cycles" not in totals
    assert utilisation.flit_hops(result) == {(1, 1): 90, (2, 1): 90}


def test_table_lists_kinds_then_slowest(program, result):
    lines = utilisation.table(utilisation.stages(program, result)).splitlines()
    assert [line.split()[0] for line in lines] == [
        "stages", "embed", "qkv", "lm", "slowest:", "l0.qkv", "lm.0", "embed"]
    assert lines[2].split() == ["qkv", "1", "50.0%", "30.0%", "10.0%", "10.0%"]


def test_bars_draw_every_state_but_idle(program, result):
    picture = utilisation.bars(utilisation.stages(program, result))
    assert "embed: blocked (no credit) 40 cycles, 20.0 %" in picture
    assert picture.count("<title>") == 8
