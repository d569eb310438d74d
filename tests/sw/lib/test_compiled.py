from pathlib import Path

from ouroboros.sw.lib import compiled
from ouroboros.sw.noc.routes import live
from ouroboros.sw.place import links, relieve


def test_kernels_answer_for_all_files_they_import():
    found = compiled.sources(Path(relieve.__file__))
    assert Path(links.__file__) in found          # its kernels are compiled into relieve's
    assert Path(compiled.__file__) in found
    assert Path(live.__file__) not in found


def test_change_of_an_imported_file_makes_another_cache(monkeypatch):
    source = Path(relieve.__file__)
    before = compiled.digest(source)
    assert compiled.digest(source) == before
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes",
                        lambda path: read(path) + b"#" * (path.name == "links.py"))
    assert compiled.digest(source) != before


def test_kernels_lie_in_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    kernel = compiled.compiled(_plus)
    assert kernel(1, 2) == 3
    assert list((tmp_path / "kernels").rglob("*.nbi"))


def _plus(a, b):
    return a + b
