"""Technologies: derived figures, and files that no DRAM can have."""

import pytest

from ouroboros.sw.tier.allbank import efficiency
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.technology import FOLDER, load_technology, technology_names


@pytest.mark.parametrize("name", technology_names())
def test_efficiencies_follow_from_the_timings(name):
    technology, _ = load_technology(name)
    banks = int(technology.of("banks"))
    assert efficiency(technology, 1) == pytest.approx(technology.of("lockstep"), abs=1e-3)
    assert efficiency(technology, banks) == pytest.approx(technology.of("staggered"), abs=1e-3)


def test_lockstep_of_ddr4_by_hand(ddr4):
    # 16 activations take 3 windows of four and 3 more; then the row, the precharge and the refresh.
    row, opening = 128 * 8, 3 * 34 + 3 * 4
    by_hand = row / (opening + 22 + 127 * 8 + 12 + 22) * (1 - 560 / 12480)
    assert ddr4[0].of("lockstep") == pytest.approx(by_hand, abs=2e-3)


def test_bandwidths_of_the_publication(ddr4):
    technology, _ = ddr4
    assert technology.bank_bytes_per_s == pytest.approx(1.6e9)
    assert technology.rank_bytes_per_s == pytest.approx(204.8e9)
    assert technology.pool_bytes_per_s == pytest.approx(13.1e12, rel=1e-2)
    assert technology.pool_ranks == 64


def test_energies_of_ddr4_by_hand(ddr4):
    technology, currents = ddr4
    opened = 1.2 * (57 * 74 - 52 * 52 - 37 * 22) * 0.625 / 1024
    assert currents.activation_pj_per_byte(technology) == pytest.approx(opened)
    assert currents.read_pj_per_byte(technology, 1.0) == pytest.approx(1.2 * 116 * 2.5 / 8)
    assert 20 < currents.standby_w(technology) < 60


@pytest.mark.parametrize(("key", "value", "words"), [
    ("rc", "70", "rc must be at least ras + rp = 74 clk, not 70"),
    ("ras", "30", "ras must be at least rcd + rtp = 34 clk, not 30"),
    ("faw", "15", "faw must be at least 4 * rrd_s = 16 clk, not 15"),
    ("ccd_l", "3", "ccd_l must be at least ccd_s = 4 clk, not 3"),
    ("refi", "500", "refi must be at least rfc = 560 clk, not 500"),
    ("banks", "6", "banks must be a multiple of bank_groups (4), not 6"),
    ("chips", "7.5", "chips must be a whole number, not 7.5"),
    ("lockstep", "1.2", "lockstep must be at most 1, not 1.2"),
])
def test_a_file_that_cannot_be(tmp_path, key, value, words):
    text = (FOLDER / "ddr4-3200.toml").read_text()
    lines = [f"{key} = {{ mid = {value}, unit = \"{_unit(line)}\", source = \"test\" }}"
             if line.split("=")[0].strip() == key else line for line in text.splitlines()]
    path = tmp_path / "own.toml"
    path.write_text("\n".join(lines))
    with pytest.raises(TierError, match=r"own\.toml: ") as caught:
        load_technology(str(path))
    assert words in str(caught.value)


def _unit(line):
    return line.split('unit = "')[1].split('"')[0]


def test_an_unknown_technology_names_those_there_are():
    with pytest.raises(TierError, match="technology must be one of ddr4-3200, ddr5-6400, hbm2"):
        load_technology("ddr9")


def test_a_technology_without_currents():
    assert load_technology("ddr5-6400")[1] is None
