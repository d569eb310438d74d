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
    assert Length(um=0.005, source="x").nm == 5
    assert Density(mb_per_mm2=14.8, source="x").area_mm2(14_800_000) == 1


FILES = [
    ("scribe    = { um = 80", "scribe    = { um = -1",
     "rules.toml.die.scribe: value must be at least 0, not -1"),
    ("scribe    = { um = 80", "scribe    = { um = 0.0005",
     "rules.toml.die.scribe: um must be a multiple of 0.001, not 0.0005"),
    ("control        = { transistors = 1300000", "control        = { transistors = 0",
     "rules.toml.core.control: value must be above 0, not 0"),
    ("control        = { transistors = 1300000", "control        = { mm2 = 0.05",
     "rules.toml.core.control: unknown key 'mm2'; known keys: ['source', 'transistors']"),
    ("logic_utilisation = { ratio = 0.6", "logic_utilisation = { ratio = 1.1",
     "rules.toml.core: logic_utilisation must be at most 1, not 1.1"),
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
