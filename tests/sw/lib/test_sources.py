"""Which files a result was made by."""

from pathlib import Path

from ouroboros.sw.lib import sources
from ouroboros.sw.noc.routes import live
from ouroboros.sw.place import links, relieve


def test_files_are_all_that_are_imported():
    found = sources.sources(Path(relieve.__file__))
    assert Path(links.__file__) in found          # its kernels are compiled into relieve's
    assert Path(sources.__file__) in found
    assert Path(live.__file__) not in found


def test_change_of_an_imported_file_makes_another_cache(monkeypatch):
    source = Path(relieve.__file__)
    before = sources.digest(source)
    assert sources.digest(source) == before
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes",
                        lambda path: read(path) + b"#" * (path.name == "links.py"))
    assert sources.digest(source) != before
