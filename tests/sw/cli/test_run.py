"""``ouroboros run`` around dead cores and links, on the golden machine."""

import json

import pytest
from click.testing import CliRunner

from ouroboros.hw.params.machine import CONFIGS
from ouroboros.sw.api.catalogue import SHIPPED, TOKENIZER
from ouroboros.sw.cli.main import cli
from ouroboros.sw.golden.decoder import IntegerDecoder
from ouroboros.sw.quantise.source import open_model


@pytest.fixture
def run(tmp_path):
    def call(*arguments):
        path = tmp_path / "run.json"
        result = CliRunner().invoke(cli, [
            "run", "--checkpoint", str(SHIPPED), "--tokenizer", str(TOKENIZER),
            "--prompt", "One", "--tokens", "2", "--logits", "--json", str(path),
            *arguments])
        return result, json.loads(path.read_text()) if result.exit_code == 0 else None
    return call


def test_same_logits_around_dead_cores_and_links(run):
    whole = run("--machine", "small")[1]
    # Cores (4, 4) and (6, 4).
    around = run("--machine", "detour", "--dead", "24,26", "--dead-links", "1:east,8:south")[1]
    assert around["logits"] == whole["logits"] != [{}]
    assert (around["text"], around["cores"]) == (whole["text"], whole["cores"])


@pytest.fixture
def of_24_bits(tmp_path):
    """Path of the machine small, but for its special-function units."""
    text = (CONFIGS / "small.toml").read_text()
    path = tmp_path / "small24.toml"
    path.write_text(text.replace("core = { ", "core = { residual_bits = 24, "))
    return str(path)


@pytest.mark.parametrize("placement", ["plain", "split", "tiled"])
def test_scheme_r2(run, of_24_bits, placement):
    found = run("--machine", of_24_bits, "--scheme", "R2", "--verify", "all",
                "--placement", placement)[1]
    source = open_model(SHIPPED, TOKENIZER)
    model = source.quantised(scheme="R2")
    assert model.scheme.name == "R2"
    [prompt], [tokens] = found["prompt_tokens"], found["tokens"]
    wanted = IntegerDecoder(model).prefill(0, [*prompt, *tokens[:-1]])
    assert found["logits"] == [{str(n): row.tolist() for n, row in enumerate(wanted)}]
    assert len(tokens) == 2 and len(wanted) > 2


def test_scheme_r2_on_a_machine_of_16_bits(run):
    result, _ = run("--machine", "small", "--scheme", "R2")
    assert result.exit_code == 2
    assert ("core.residual_bits of machine 'small' must be 24 for a model of scheme R2, not 16"
            in " ".join(result.output.split()))


@pytest.mark.parametrize(("on", "waves", "more", "message"), [
    ("icarus", "w.fsd", (), "w.fsd: name must end in .fst or .vcd"),
    ("golden", "w.fst", (), "back end must be verilator or icarus to record waves, not 'golden'"),
    ("icarus", "no/w.fst", (), "no/w.fst: folder 'no' must exist"),
    ("icarus", "w.fst", ("--waves-cores", "8,1"),
     "waves must be of cores of the 7 x 6 mesh, not of 8,1"),
    ("icarus", "w.fst", ("--waves-cores", "0,1;1,1"),
     "waves must be of cores of the 7 x 6 mesh, not of 0,1"),
    ("icarus", "w.fst", ("--waves-cores", "1;1"),
     "waves_cores must be X,Y;X,Y;.. from 1, not '1;1'"),
    ("verilator", "w.vcd", ("--waves-window", "9:5"),
     ("waves_window must be FROM:TO in cycles with 0 <= FROM < TO, token N from 0, or stage NAME, "
     "not '9:5'")),
    ("icarus", "w.fst", ("--waves-window", "token -1"), "not 'token -1'"),
    ("icarus", "w.fst", ("--waves-window", "stage l0.qvk"),
     "stage must be one of the program's, such as l0.qkv")])
def test_waves_that_cannot_be(run, on, waves, more, message):
    result, _ = run("--machine", "small", "--on", on, "--waves", waves, *more)
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
