"""Every block of the hardware with its test, golden model, bench and proof: the newcomer's table.

Blocks are found in the sources of ``hw``; ``docs/blocks.toml`` says where one is covered that has
no test of its own name.
"""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ouroboros.docs.text import paragraph, table

__all__ = ["Block", "blocks", "blocks_page", "components"]

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {"test": ("tests/",), "golden": ("sw/golden/", "sw/"), "bench": ("tb/",),
           "proof": ("tb/formal/",)}
"""Column, and the folders that its paths may start from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One file of the hardware; paths are from the root, empty for none."""

    file: str
    """File below ``hw``, from the root."""
    names: tuple[str, ...]
    """Its components, as other files call them."""
    test: str
    """Test of its own name, or the one that covers it."""
    golden: str
    """Model that says what it computes."""
    bench: str
    """Bench that drives it in a simulator."""
    proof: str
    """Proof of it."""


def components(text: str) -> tuple[str, ...]:
    """Names of the components that a source file defines."""
    return tuple(node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)
                 and any(ast.unparse(base).endswith("Component") for base in node.bases))


def blocks() -> Iterator[Block]:
    """Every block, folder by folder."""
    said = tomllib.loads((ROOT / "docs" / "blocks.toml").read_text(encoding="utf-8"))
    for path in sorted((ROOT / "hw").rglob("*.py")):
        if names := components(path.read_text(encoding="utf-8")):
            yield _block(path.relative_to(ROOT), names, said)


def blocks_page() -> str:
    """The table as a page."""
    parts = ["# Blocks, and where each is covered",
             paragraph("*Made from the sources by `make docs`; pointers stand in "
                       "`docs/blocks.toml`.*"),
             paragraph("One block, one name in four places. Tests are below `tests`, golden models "
                       "below `sw/golden`, or `sw`, benches below `tb`, proofs below `tb/formal` "
                       "(run by `tests/formal`). *own* is the test of the block's own name, "
                       "`test_FILE.py` in `tests/hw`; another test covers the block as a part "
                       "of a larger one.")]
    rows: dict[str, list[list[str]]] = {}
    for block in blocks():
        folder, _, file = block.file.rpartition("/")
        cells = [_cell(getattr(block, column), start) for column, start in COLUMNS.items()]
        if block.test == _own(Path(block.file)):
            cells[0] = "own"
        own = [name for name in block.names if not name.startswith("_")]
        rows.setdefault(folder, []).append([", ".join(own or block.names), file, *cells])
    for folder, lines in rows.items():
        parts += [f"## `{folder}`", table(["block", "file", *COLUMNS], lines)]
    return "\n\n".join(parts) + "\n"


def _block(path: Path, names: tuple[str, ...], said: Mapping[str, Mapping[str, str]]) -> Block:
    pointers = {**said.get(str(path.parent), {}), **said.get(str(path), {})}
    if (ROOT / _own(path)).exists():
        pointers["test"] = _own(path)
    return Block(file=str(path), names=names,
                 **{column: pointers.get(column, "") for column in COLUMNS})


def _own(path: Path) -> str:
    return str(Path("tests", path.parent, f"test_{path.name}"))


def _cell(path: str, starts: tuple[str, ...]) -> str:
    return path.removeprefix(next((start for start in starts if path.startswith(start)), ""))
