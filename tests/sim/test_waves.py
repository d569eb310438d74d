"""The steps of docs/waves.md: a credit that a router loses is found from waves and questions."""

import re

import pytest

from ouroboros.docs.order import ROOT
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.runtime.service import compare
from ouroboros.tb.flow.rtl import emit_die
from ouroboros.tb.waves.planted import PICTURES, break_credits, draw, planted_job, run_planted
from ouroboros.tb.waves.query import ask
from ouroboros.tb.waves.wave_file import WaveFile

PAGE = ROOT / "docs" / "waves.md"
STEP = re.compile(r"^\$ ouroboros wave \S+ --query '(.*)'\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)


@pytest.mark.sim
def test_the_tutorial(tmp_path):
    """The machine is right, but slow; every question has the page's answer, and the picture is the
    page's.
    """
    path = tmp_path / "slow.fst"
    job = planted_job(path)
    result = run_planted(job)
    assert compare(job.model, result.requests)[0]
    assert f"{result.cycles:,} cycles" in PAGE.read_text()
    wave = WaveFile(path)
    steps = STEP.findall(PAGE.read_text())
    assert len(steps) >= 4
    for query, answer in steps:
        lines = ask(wave, query)
        for line in answer.splitlines():
            # ``..`` stands for lines that the page leaves out.
            assert line == ".." or line in lines, f"{query}: {line!r} is not in {lines}"
    for name, text in draw(wave).items():
        assert (PICTURES / f"{name}.svg").read_text() == text


def test_the_bug_is_in_the_router_alone():
    sources = emit_die(load_machine("tiny"), twin=True)
    broken = break_credits(sources)
    assert [name for name in sources if sources[name] != broken[name]] == ["router_input"]

