"""Rules as a file."""

import pytest

from ouroboros.floorplan.rules import RULES, Density, Length, load_rules
from ouroboros.hw.params.load import ConfigError


def test_every_shipped_value_has_a_source_of_known_kind():
    rules = load_rules()
    seen = 0
    for table in (rules.wafer, rules.die, rules.core):
        for name in table.__slots__:
            source = getattr(table, name).source
            assert source.startswith(("P: ", "S: ", "E: ", "SEMI ", "assumption: ")), source
            seen += 1
    assert seen == 23


def test_units():
    assert Length(mid=0.005, unit="um", source="x").nm == 5
    assert Density(mid=14.8, unit="Mb/mm2", source="x").area_mm2(14_800_000) == 1


FILES = [
    ("scribe    = { mid = 80", "scribe    = { mid = -1",
     "rules.toml.die.scribe: mid must be at least 0, not -1"),
    ("scribe    = { mid = 80", "scribe    = { mid = 0.0005",
     "rules.toml.die.scribe: mid must be a multiple of 0.001, not 0.0005"),
    ("control        = { mid = 1300000", "control        = { mid = 0",
     "rules.toml.core.control: mid must be above 0, not 0"),
    ("control        = { mid = 1300000", "control        = { mm2 = 0.05",
     ("rules.toml.core.control: unknown key 'mm2'; known keys: ['high', 'low', 'mid', 'note', "
     "'source', 'unit']")),
    ("logic_utilisation = { mid = 0.6", "logic_utilisation = { mid = 1.1",
     "rules.toml.core: logic_utilisation must be at most 1, not 1.1"),
    ('scribe    = { mid = 80, unit = "um"', 'scribe    = { mid = 80, unit = "mm"',
     "rules.toml.die.scribe: unit must be 'um', not 'mm'"),
    ('S: arXiv 2603.02737, 215 x 215 mm', ' ',
     "rules.toml.wafer.square: source must say where the value comes from, not be empty"),
]


@pytest.mark.parametrize(("old", "new", "message"), FILES)
def test_wrong_files(old, new, message, tmp_path):
    text = RULES.read_text()
    assert text.count(old) == 1
    path = tmp_path / "rules.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_rules(path)
    assert str(caught.value) == message
