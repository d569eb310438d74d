"""The page and the verdict."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ouroboros.sw.quantise.quantise import quantise
from ouroboros.sw.report import page
from ouroboros.sw.runtime.job import Job
from ouroboros.sw.runtime.service import Served

PROMPTS = ("Once <upon>", "The dog")
VOID = {"meta", "br", "hr", "img", "link", "input"}


@pytest.fixture
def report(program, result, make_checkpoint):
    for request in result.requests:
        for n in range(len(request.tokens)):
            request.vectors[len(request.prompt) - 1 + n] = np.zeros(23, np.int32)
    served = Served(job=Job(program=program, model=quantise(make_checkpoint(n_layers=1), None),
                            requests=()), wall_s=3.0, result=result,
                    texts=["Once <upon> a time", " The dog ran"],
                    answers=[" a time", " ran"], bit_exact=True,
                    vectors_checked=3)
    return page.Report(served=served, prompts=PROMPTS, command="ouroboros demo --tokens 2",
                       backend="verilator", macro="bit-serial RTL", logits="last",
                       checkpoint="model.bin", versions={"python": "3.11"})


class Balance(HTMLParser):
    """Fails on a tag that is not closed in its place."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_complete_and_needs_nothing_else(report):
    text = page.render(report)
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert len(figures) == 6
    assert all("Made by <code>ouroboros demo --tokens 2</code>" in figure for figure in figures)
    assert "<b>Once &lt;upon&gt;</b> a time" in text
    assert "The dog ran" in text
    assert not re.findall(r"https?:|//|src=|href=|@import|url\(", text)
    for words in ("3 of 3 vectors", "l0.qkv", "Bit exact", "model.bin", "prefers-color-scheme",
                  "complete on all cores from cycle 60 to the end, 186", "trace_words",
                  "array_group_cycles", "every register simulated by Verilator"):
        assert words in text, words


def test_page_without_clock_leaves_the_pictures_of_time_out(report):
    served = report.served
    result = dataclasses.replace(served.result, cycles=None, counters={}, traces={})
    served = dataclasses.replace(served, result=result, bit_exact=None)
    text = page.render(dataclasses.replace(report, served=served, backend="golden"))
    assert "Nothing compared" in text
    assert "Where the cycles went" not in text
    assert "Tokens over stages" not in text
    assert "Roles of the cores" in text


def test_wafer_estimate_is_shown_with_its_assumptions(report):
    wafer = {"title": "A wafer", "lead": "Estimated.", "command": "ouroboros wafer",
             "figures": [{"name": "speed", "value": "12", "unit": "tokens/s", "why": "because"}],
             "stages": [{"name": "attention", "cores": 3, "cycles": 4567, "binds": "mesh"}],
             "assumptions": [{"name": "clock_ghz", "value": "1 GHz", "meaning": "One clock.",
                              "source": "first source"}], "values": {}}
    text = page.render(dataclasses.replace(report, wafer=wafer))
    for words in ("A wafer", "tokens/s", "because", "4567", "clock_ghz", "first source",
                  "ouroboros wafer"):
        assert words in text


LAST, ALL = "last prompt token and every generated token", "every token: prompt and generated"
EQUAL = "and every generated token equals the golden decoder's, bit for bit."


@pytest.mark.parametrize(("exact", "checked", "logits", "expected", "words"), [
    (True, 3, "last", True, f"Every logit vector ({LAST}; 3 of 3 vectors of 23 int32) {EQUAL}"),
    (True, 6, "all", True, f"Every logit vector ({ALL}; 6 of 6 vectors of 23 int32) {EQUAL}"),
    (True, 3, "all", False, f"Logit vectors are MISSING ({ALL}; 3 of 6 vectors of 23 int32)."),
    (False, 3, "last", False,
     f"Logits or tokens DIFFER from the golden decoder's ({LAST}; 3 of 3 vectors of 23 int32)."),
    (None, 3, "last", None, "The golden model itself ran: there is nothing to compare it with."),
])
def test_verdict(report, exact, checked, logits, expected, words):
    for request in report.served.result.requests:
        request.logits = logits
    served = dataclasses.replace(report.served, bit_exact=exact, vectors_checked=checked)
    assert page.verdict(served, logits) == (expected, words)
