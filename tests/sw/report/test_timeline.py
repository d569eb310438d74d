"""Rows, windows and lanes of the timeline, worked by hand."""

import pytest

from ouroboros.sw.report import timeline
from ouroboros.sw.report.timeline import Bar, Window


def bar(start, end):
    return Bar(sequence=0, position=0, start=start, end=end, control=False)


def test_rows_follow_the_pipeline_and_count_from_the_runs_start(program, result):
    rows = timeline.rows(program, result)
    assert [row.stage.name for row in rows] == ["embed", "l0.qkv", "lm.0"]
    assert [[(b.sequence, b.position, b.start, b.end) for b in row.bars] for row in rows] == [
        [(0, 1, 40, 60), (0, 2, 101, 120), (0, 3, 180, 185)],
        [(0, 0, 10, 50), (1, 0, 30, 70), (0, 2, 121, 150)],
        [(0, 1, 80, 100)]]
    assert [b.control for b in rows[0].bars] == [False, False, True]


def test_window_starts_where_no_ring_has_lost_anything(program, result):
    assert timeline.window(program, result) == Window(start=60, end=186)
    result.traces[1, 1].pop()
    assert timeline.window(program, result) == Window(start=0, end=151)


def test_no_clock_draws_nothing(program, result):
    result.traces = {}
    assert timeline.rows(program, result) == []
    assert timeline.window(program, result) is None


def test_zoom_is_rounds_of_the_median_way(program, result):
    rows, whole = timeline.rows(program, result), Window(start=60, end=186)
    # (0, 1) takes 80..100 in the window, (0, 2) 101..150: the median is 34.5.
    assert timeline.zoom(rows, whole, rounds=2) == Window(start=60, end=129)
    assert timeline.zoom(rows, whole, rounds=9) == whole
    assert timeline.zoom(rows, Window(start=150, end=186)) == Window(start=150, end=186)


@pytest.mark.parametrize(("spans", "expected"), [
    ([], ([], 1)),
    ([(0, 10), (10, 20)], ([0, 0], 1)),
    ([(0, 10), (5, 20), (10, 30), (12, 15)], ([0, 1, 0, 2], 3)),
])
def test_lanes_keep_overlapping_bars_apart(spans, expected):
    assert timeline.lanes([bar(*span) for span in spans]) == expected


def test_picture_has_one_bar_for_each_stay_in_the_window(program, result):
    rows = timeline.rows(program, result)
    picture = timeline.timeline(rows, Window(start=60, end=186), ["A & B", "C"])
    assert picture.count("<title>") == 5
    assert "embed: sequence 0, position 2, cycles 101 to 120" in picture
    assert "embed: sequence 0, freed, cycles 180 to 185" in picture
    assert "A &amp; B" in picture
    low = timeline.timeline(rows, Window(start=60, end=186), ["A"], row_height=10, tips=False)
    assert "<title>" not in low
    assert "block 0" in low


def test_progress_has_one_tick_for_each_result(program, result):
    picture = timeline.progress(result, ["A", "B"], timeline.window(program, result))
    assert picture.count("(a generated token)") == 3
    assert picture.count("(prompt)") == 3
    assert "position 2 (a generated token): cycle 190" in picture
