"""The page of requests on the wafer: whole, self-contained, true to count."""

import re
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from ouroboros.docs.order import ROOT
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.wafer.report import report_of
from ouroboros.sw.api.wafer.traffic import TrafficOptions, serve_wafer
from ouroboros.sw.report.traffic import CHAIN
from ouroboros.sw.report.traffic_pictures import cdfs, over_time, tornado_bars, wafer_map


@pytest.fixture(scope="module")
def made():
    served = serve_wafer(TrafficOptions(model="llama-7b", members=4, lengths="60:20", requests=20))
    return served, report_of(served)


def test_the_page_is_whole(made):
    """Every figure is well-formed SVG, and nothing is fetched."""
    served, page = made

    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = Counter()

        def handle_starttag(self, tag, attrs):
            self.open[tag] += 1
            assert not any(name in ("src", "href") for name, _ in attrs)

        def handle_endtag(self, tag):
            self.open[tag] -= 1

    tags = Tags()
    tags.feed(page)
    assert not {tag for tag, count in tags.open.items() if count and tag not in ("meta",)
                } - {"rect", "line", "path", "br"}
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 6
    for picture in pictures:
        ElementTree.fromstring(picture)
        assert "nan" not in picture and "inf" not in picture.replace("info", "")
    assert f"{served.as_dict()['output_tokens_per_s']:,.0f}" in page
    for word in ("What binds", "FlooNoC", "wafer_link_ns", "array_read", "ISSCC", "throttled"):
        assert word in page
    assert "ouroboros wafer" in page[:4096]
    assert report_of(served) == page


def test_the_map_is_true_to_count():
    machine = load_machine("wafer")
    cores = {"dead": 42, "edge": 40, "spare": 252, "weights": 3484, "embedding": 21, "kv": 9600}
    drawn = wafer_map(machine, cores, 40)
    for role, count in (("weights", 3505), ("KV", 9600), ("spare", 252), ("edge, defects", 82),
                        ("left over", 13923 - 3505 - 9600 - 252 - 82)):
        assert f"{role}: {count:,}<" in drawn
    tips = re.findall(r"<title>die \d+, \d+: (.*?)</title>", drawn)
    assert len(tips) == 63
    each = Counter()
    for tip in tips:
        for part in re.findall(r"(\d+) ([A-Za-z, ]+?)(?:, (?=\d)|$)", tip):
            each[part[1]] += int(part[0])
    assert each == {"weights": 3505, "KV": 9600, "spare": 252, "edge, defects": 82,
                    "left over": 484}


def test_pictures_of_little():
    one = np.array([0.5])
    assert "path" in over_time(one / 2, one, one * 0, one * 8)
    assert "path" in cdfs({"a": one, "b": np.array([np.nan])})
    rows = [("x", "0", 90.0, "2", 130.0), ("y", "1", 100.0, "3", 101.0)]
    drawn = tornado_bars(100.0, rows)
    assert drawn.index(">x<") < drawn.index(">y<") == drawn.rindex(">y<")
    assert "0: x 0.900" in drawn and "2: x 1.300" in drawn


def test_the_chain_names_tests():
    for _, _, _, test in CHAIN:
        assert (ROOT / test).is_file()
