"""Checkpoints by name: the path of what is there, and how to get what is not."""

from pathlib import Path

import pytest

from ouroboros.sw.models import named
from ouroboros.sw.models.checkpoint import CheckpointError


def test_names(tmp_path, monkeypatch):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert named.find(Path("tales")).name == "tales.bin"
    assert named.find(Path("any.gguf")) == Path("any.gguf")
    with pytest.raises(CheckpointError) as caught:
        named.find(Path("smollm2"))
    assert str(caught.value) == "checkpoint smollm2 is not there yet: run ouroboros fetch smollm2"
    there = named.PUBLISHED["smollm2"].path
    assert there.parent == tmp_path / "cache" / "checkpoints"
    there.parent.mkdir(parents=True)
    there.touch()
    assert named.find(Path("smollm2")) == there
    (tmp_path / "smollm2").mkdir()
    assert named.find(Path("smollm2")) == Path("smollm2")       # the user's own
