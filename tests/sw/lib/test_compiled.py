"""Where compiled kernels are kept."""

from ouroboros.sw.lib import compiled


def test_kernels_lie_in_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    kernel = compiled.compiled(_plus)
    assert kernel(1, 2) == 3
    assert list((tmp_path / "kernels").rglob("*.nbi"))


def _plus(a, b):
    return a + b
