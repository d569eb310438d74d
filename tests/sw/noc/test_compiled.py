import os

from sw.noc.compiled import drop_stale


def test_stale_code_is_dropped(tmp_path):
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name, time in (("__pycache__/old.nbi", 10), ("__pycache__/old.nbc", 10), ("a.py", 20),
                       ("__pycache__/new.nbi", 30), ("__pycache__/old.pyc", 10)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    drop_stale(tmp_path)
    assert sorted(path.name for path in cache.iterdir()) == ["new.nbi", "old.pyc"]
