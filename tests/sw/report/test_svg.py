"""Shapes and ticks."""

import xml.etree.ElementTree as ElementTree

import pytest

from ouroboros.sw.report.svg import Svg, nice_ticks


@pytest.mark.parametrize(("low", "high", "count", "expected"), [
    (0, 10, 5, [0, 2, 4, 6, 8, 10]),
    (310_001, 349_999, 4, [320_000, 330_000, 340_000]),
    (0, 1, 2, [0, 0.5, 1.0]),
    (5, 5, 3, [5]),
])
def test_ticks_are_round(low, high, count, expected):
    assert nice_ticks(low, high, count) == pytest.approx(expected)


def test_picture_is_well_formed_and_escaped():
    svg = Svg(10, 20, 'a "label"')
    svg.rect(0, 0.123, 1, 2.0, "x", tip="<&>", rx=3)
    svg.text(1, 2, "<b>")
    root = ElementTree.fromstring(str(svg))
    assert root.attrib["viewBox"] == "0 0 10 20"
    assert root.attrib["aria-label"] == 'a "label"'
    assert root[0].attrib == {"class": "x", "x": "0", "y": "0.1", "width": "1", "height": "2",
                              "rx": "3"}
    assert root[0][0].text == "<&>"
    assert root[1].text == "<b>"
