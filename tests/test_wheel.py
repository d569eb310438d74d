"""The project as users install it: a wheel, used in a folder with packages of its own names."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ouroboros.sw.models import llama2c, tokenizer

ROOT = Path(__file__).parents[1]
PARTS = ("hw", "sw", "tb", "floorplan")
SHAPE = {"dim": 32, "hidden_dim": 40, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2,
         "vocab_size": 300, "seq_len": 64}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel made of a copy of the sources: setuptools keeps old files in a build folder."""
    copy = tmp_path_factory.mktemp("sources")
    shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(
        ".*", "build", "tests", "__pycache__", "*.egg-info"))
    made = copy / "wheel"
    run = subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
                          "--wheel-dir", made, copy], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"pip cannot build a wheel here: {run.stderr.strip()[-200:]}")
    return next(made.glob("*.whl"))


@pytest.fixture
def installed(wheel, tmp_path):
    """Runs the installed command line; its folder of caches and its current folder are new."""
    site, here, cache = tmp_path / "site", tmp_path / "my project", tmp_path / "cache"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in ("hw", "sw", "tb", "ouroboros_notes"):
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text("raise ImportError('not this one')\n")
    before = sorted(site.rglob("*")), sorted(here.rglob("*"))

    def command(*words):
        # Of the environment only what finds programs: PYTHONPATH stands for the installation.
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8",
               "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(site),
               "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run([sys.executable, "-m", "ouroboros.sw.cli.main", *map(str, words)],
                             cwd=here, env=env, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        assert (sorted(site.rglob("*")), sorted(here.rglob("*"))) == before
        assert any(path.is_file() for path in (cache / "ouroboros").rglob("*"))
        return run.stdout

    command.site = site
    return command


def test_nothing_but_one_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {
        "ouroboros", "ouroboros_cim"}
    inside = {name.removeprefix("ouroboros/") for name in names}
    for part in PARTS:
        for path in (ROOT / part).rglob("*"):
            if path.suffix in (".py", ".toml", ".sv", ".bin", ".j2"):
                assert str(path.relative_to(ROOT)) in inside
    assert "pyproject.toml" not in inside


@pytest.mark.sim
def test_golden(installed):
    checkpoints = installed.site / "ouroboros/sw/models/checkpoints"
    told = installed("run", "--checkpoint", checkpoints / "tales.bin", "--tokenizer",
                     checkpoints / "tales_tokenizer.bin", "--prompt", "Once upon a time",
                     "--tokens", "4")
    assert "Once upon a time" in told


@pytest.mark.slow
@pytest.mark.sim
def test_verilator(installed, make_checkpoint, tmp_path):
    llama2c.write(tmp_path / "model.bin", make_checkpoint(**SHAPE))
    pieces = (b"<unk>", b"<s>", b"</s>", *(f"<0x{n:02X}>".encode() for n in range(256)),
              *(f"p{n}".encode() for n in range(41)))
    tokenizer.write(tmp_path / "tok.bin", pieces, (0.0,) * len(pieces))
    told = installed("run", "--machine", "tiny", "--checkpoint", tmp_path / "model.bin",
                     "--tokenizer", tmp_path / "tok.bin", "--prompt", "ab", "--tokens", "2",
                     "--on", "verilator", "--twin")
    assert "equal" in told
