"""Times of steps are kept from run to run, and no cache is no fault."""

from ouroboros.sw.runtime import times


def test_kept_by_key(tmp_path, monkeypatch):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    assert times.recall("a") == {}
    times.remember("a", {"build": 12.34567, "load": 2.0})
    times.remember("b", {"load": 9.0})
    times.remember("a", {"build": 0.0, "load": 3.0})        # it was built before
    assert times.recall("a") == {"build": 12.346, "load": 3.0}
    for n in range(250):
        times.remember(f"n{n}", {"load": 1.0})
    assert times.recall("a") == {} and times.recall("n249") == {"load": 1.0}


def test_damaged_and_unwritable(tmp_path, monkeypatch):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    (tmp_path / "times").mkdir()
    for content in ("broken", '{"a": 7}', '{"a": {"build": "x"}}'):
        (tmp_path / "times/run.json").write_text(content)
        assert times.recall("a") == {}
    times.remember("a", {"load": 1.0})
    assert times.recall("a") == {"load": 1.0}
    (tmp_path / "file").touch()
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "file"))
    times.remember("a", {"load": 1.0})
    assert times.recall("a") == {}
