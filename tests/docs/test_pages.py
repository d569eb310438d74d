"""Pages of the project: widths, paths, what is made from code, the README of every folder."""

import dataclasses
import re
from pathlib import Path

import pytest

from ouroboros.docs.generate import FILES, ROOT, decisions, folders, made
from ouroboros.docs.pictures import pictures
from ouroboros.docs.text import members
from ouroboros.hw.params.load import ConfigError
from ouroboros.hw.params.machine import CONFIGS, load_machine

COLUMNS = 100
SCREEN = 60
PARTS = ("docs", "floorplan", "hw", "sw", "tb", "tests")
FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"(?:ouroboros\.)?(hw|sw|tb|floorplan)((?:\.\w+)+)(?:\(.*\))?")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
RANGE = re.compile(r"(\d+) to (\d+)")
TABLE = "| tests | golden | bench | page |\n|---|---|---|---|\n"


def pages() -> list[Path]:
    return sorted({*ROOT.glob("*.md"),
                   *(path for part in PARTS for path in (ROOT / part).rglob("*.md"))})


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dead_modules(text: str) -> list[str]:
    """Dotted names of a page that begin like a module of the project and are none."""
    dead = []
    for code in CODE.findall(FENCE.sub("", text)):
        if found := DOTTED.fullmatch(code):
            at, rest = ROOT / found[1], found[2].split(".")[1:]
            while rest and (at / rest[0]).is_dir():
                at /= rest.pop(0)
            if rest and not (at / f"{rest[0]}.py").exists() and rest[0].islower():
                dead.append(code)
    return dead


def dead_paths(text: str, folder: Path) -> list[str]:
    """Paths and links of a page that lead nowhere."""
    text = FENCE.sub("", text)
    dead = [code for code in CODE.findall(text)
            if re.fullmatch(rf"({'|'.join(PARTS)})(/[\w.-]+)+/?", code)
            and not (ROOT / code).exists()]
    return dead + [link for link in LINK.findall(text)
                   if "://" not in link and not (folder / link).exists()]


@pytest.mark.parametrize("page", pages(), ids=name)
def test_lines_are_short_and_paths_exist(page):
    text = page.read_text(encoding="utf-8")
    wide = [number for number, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS]
    assert not wide, f"{name(page)}: lines over {COLUMNS} columns: {wide}"
    assert not dead_paths(text, page.parent)
    if page.parent.name != "decisions":         # they keep the names of their day
        assert not dead_modules(text)


def test_dead_paths_are_seen():
    text = "`hw/core/core.py` `hw/core/nothing.py` [a](DECISIONS.md) [b](nowhere.md#x) `a/b.py`"
    assert dead_paths(text, ROOT) == ["hw/core/nothing.py", "nowhere.md"]
    text = "`hw.core.core.Core` `sw.place` `sw.place.nothing` `ouroboros.tb.none` `sw.Thing`"
    assert dead_modules(text) == ["sw.place.nothing", "ouroboros.tb.none"]


@pytest.mark.parametrize(("path", "make"), [
    pytest.param(path, make, id=name(path)) for path, make in (*made(), *pictures())])
def test_what_is_made_from_code_is_current(path, make):
    assert path.read_text(encoding="utf-8") == make(), f"{name(path)} is old; type: make docs"


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / link).resolve() for link in LINK.findall(index)}
    missing = [name(page) for page in pages()
               if page.is_relative_to(ROOT / "docs") and page.name != "README.md"
               and page not in listed]
    assert not missing


def test_pages_with_measurements_have_a_date():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    part = index.split("## Measurements and methods")[1].split("\n## ")[0]
    pages = [ROOT / "docs" / link for link in LINK.findall(part)]
    assert len(pages) > 5
    for page in pages:
        assert re.search(r"202\d-\d\d-\d\d|\d+ \w+ 202\d", page.read_text(encoding="utf-8")), page


def test_decisions_are_numbered_without_gap():
    numbers = [number for number, *_ in decisions()]
    assert numbers == list(range(1, len(numbers) + 1))
    headings = sum(len(re.findall(r"^## \d", page.read_text(encoding="utf-8"), re.MULTILINE))
                   for page in (ROOT / "docs" / "decisions").glob("*.md"))
    assert headings == len(numbers), "a decision lacks its line with the date"


@pytest.mark.parametrize("folder", folders(), ids=name)
def test_every_folder_has_a_readme_of_a_screen(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= SCREEN
    assert text.startswith(f"# {name(folder)}: ")
    assert "```text\n" in text, "a diagram"
    assert TABLE in text
    row = text.split(TABLE)[1].splitlines()[0]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    for cell in cells:
        assert cell == "none" or (ROOT / cell.strip("`")).exists(), cell
    assert FILES.search(text) or not list(folder.glob("[!_]*.py")), "the list of its files"


def ranges() -> list[tuple[str, str, int]]:
    """Every value just outside a range that the text of a machine's key gives."""
    found = []
    for part in dataclasses.fields(load_machine("tiny")):
        if dataclasses.is_dataclass(part.type):
            for key, text in members(part.type).items():
                if limits := RANGE.search(text):
                    low, high = map(int, limits.groups())
                    found += [(part.name, key, low - 1), (part.name, key, high + 1)]
    return found


@pytest.mark.parametrize(("part", "key", "value"), ranges())
def test_ranges_of_keys_are_those_that_are_refused(part, key, value):
    params = getattr(load_machine("tiny"), part)
    with pytest.raises(ValueError, match=key):
        dataclasses.replace(params, **{key: value})


def test_machines_of_the_page_are_the_shipped_ones():
    text = (ROOT / "docs" / "generated" / "machines.md").read_text(encoding="utf-8")
    for path in CONFIGS.glob("*.toml"):
        assert f"| {path.stem} |" in text
    with pytest.raises(ConfigError):
        load_machine("none")
