"""``ouroboros run`` around dead cores and links, on the golden machine."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.cli.main import cli


@pytest.fixture
def run(tmp_path):
    def call(*arguments):
        path = tmp_path / "run.json"
        result = CliRunner().invoke(cli, [
            "run", "--checkpoint", str(SHIPPED), "--tokenizer", str(TOKENIZER),
            "--prompt", "One", "--tokens", "2", "--json", str(path), *arguments])
        return result, json.loads(path.read_text()) if result.exit_code == 0 else None
    return call


def test_same_logits_around_dead_cores_and_links(run):
    whole = run("--machine", "small")[1]
    # Cores (4, 4) and (6, 4).
    around = run("--machine", "detour", "--dead", "24,26", "--dead-links", "1:east,8:south")[1]
    assert around["logits"] == whole["logits"] != [{}]
    assert (around["text"], around["cores"]) == (whole["text"], whole["cores"])


@pytest.mark.parametrize(("on", "waves", "message"), [
    ("icarus", "1,1", "waves must be x,y,cycle, not '1,1'"),
    ("golden", "1,1,5", "back end must be icarus to record waves, not 'golden'"),
    ("icarus", "8,1,5", "waves must be of a core of the 7 x 6 mesh, not of (8, 1)"),
    ("icarus", "0,1,5", "waves must be of a core of the 7 x 6 mesh, not of (0, 1)"),
    ("icarus", "1,1,-5", "waves must begin at cycle 0 or later, not -5")])
def test_waves_that_cannot_be(run, on, waves, message):
    result, _ = run("--machine", "small", "--on", on, "--waves", waves)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(("machine", "dead", "links", "message"), [
    ("detour", "0", "",
     "host's port must be alive, but edge port (0, 1) is beside core (1, 1), which is dead"),
    ("detour", "3,10,17,24,31,38", "",
     "mesh must be in one piece, but dead links and routers cut 18 cores"),
    ("small", "24", "1:east", "noc.class1_vcs of machine 'small' must be at least 1, not 0"),
    ("small", "24", "", ("must use no dead core, not (4, 4): place by ouroboros map with the same "
                         "dead cores, or set noc.class1_vcs = 1")),
    ("detour", "", "6:east", "dead link must join two neighbours in the 7 x 6 mesh"),
])
def test_refusals(run, machine, dead, links, message):
    result, _ = run("--machine", machine, "--dead", dead, "--dead-links", links)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
