"""Dataclasses of sourced numbers: units, signs, corners, other values."""

from dataclasses import dataclass

import pytest

from ouroboros.hw.params.values import Value
from ouroboros.sw.lib.quantities import CORNERS, Quantities, at, quantity


@dataclass(frozen=True, kw_only=True)
class Two(Quantities):
    long: Value = quantity("m")
    warm: Value = quantity("W", zero=True)


def value(mid, unit, **others):
    return Value(mid=mid, unit=unit, source="s", **others)


def test_corners():
    spread = value(2, "m", low=1, high=5)
    assert [at(spread, corner) for corner in CORNERS] == [1, 2, 5]
    assert [at(value(2, "m"), corner) for corner in CORNERS] == [2, 2, 2]


@pytest.mark.parametrize("long, warm, words", [
    (value(1, "km"), value(1, "W"), "unit of long must be 'm', not 'km'"),
    (value(1, "m", low=0), value(1, "W"), "long must be above 0, not 0"),
    (value(1, "m"), value(1, "W", low=-1), "warm must be at least 0, not -1")])
def test_refusals(long, warm, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        Two(long=long, warm=warm)


def test_other_values():
    found = Two(long=value(2, "m", low=1, high=5), warm=value(0, "W"))
    changed = found.with_values({"long": 7.0}, "asked")
    assert changed.long == Value(mid=7.0, unit="m", source="asked")
    assert changed.warm == found.warm
    assert changed.as_dict()["long"] == {"mid": 7.0, "unit": "m", "source": "asked"}
    with pytest.raises(ValueError, match="quantity must be one of long, warm, not 'x'"):
        found.with_values({"x": 1.0}, "asked")
