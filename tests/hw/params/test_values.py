"""Numbers with their sources, from files."""

import math

import pytest

from ouroboros.hw.params.load import ConfigError
from ouroboros.hw.params.values import Value, read_values

GOOD = """
[core]
area = { mid = 3.3, unit = "mm2", source = "a paper", low = 3.0, high = 3.6 }
[link]
energy = { mid = 2, unit = "pJ/bit", source = "another", note = "between dies" }
"""


def test_by_dotted_key(tmp_path):
    path = tmp_path / "values.toml"
    path.write_text(GOOD)
    found = read_values(path)
    assert found["core.area"] == Value(mid=3.3, unit="mm2", source="a paper", low=3.0, high=3.6)
    energy = found["link.energy"]
    assert energy.spread == (2, 2)
    assert energy.as_dict() == {"mid": 2, "unit": "pJ/bit", "source": "another",
                                "note": "between dies"}
    assert found["core.area"].as_dict()["high"] == 3.6


@pytest.mark.parametrize(("old", "new", "message"), [
    ("mid = 3.3", "mid = 4", "values.toml.core.area: mid must be low to high (3 to 3.6), not 4"),
    ('"a paper"', '" "', ("values.toml.core.area: source must say where the value comes from, "
                         "not be empty")),
    ("mid = 2", "mid = 'two'", "values.toml.link.energy.mid: expected float, not 'two'"),
    ("mid = 2", "mid = inf", "values.toml.link.energy: mid must be a number, not inf"),
    ("mid = 2", "mide = 2", ("values.toml.link.energy: unknown key 'mide'; known keys: "
                            "['high', 'low', 'mid', 'note', 'source', 'unit']")),
    ("[core]", "top = 7\n[core]", ("values.toml: top must be a table of mid, unit and source, "
                               "not 7"))])
def test_refused(old, new, message, tmp_path):
    path = tmp_path / "values.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as error:
        read_values(path)
    assert str(error.value) == message


def test_no_number():
    with pytest.raises(ValueError, match="mid must be a number"):
        Value(mid=math.nan, unit="1", source="x")
