"""``python -m ouroboros.docs.order``: packages, lowest first, and what each imports.

A package may import itself and those before it, so there is no circle. Exit code 1 if one imports
upwards; ``tests/test_imports.py`` holds the same, and what may come from outside.
"""

import ast
import sys
from pathlib import Path

__all__ = ["ORDER", "ROOT", "imports", "main", "package", "sources"]

ROOT = Path(__file__).resolve().parents[1]
ORDER = """
hw.params hw.lib hw.pim hw.cim hw.kv hw.sfu hw.noc hw.array hw.core hw.mesh
sw.lib sw.models sw.defects sw.place sw.noc sw.program sw.golden sw.quantise sw.perf sw.block
sw.mapper sw.serving sw.runtime sw.energy sw.baselines sw.wafer sw.replay sw.tier sw.search
sw.sweep sw.experiments sw.report sw.server sw.api sw.cli
floorplan tb docs
""".split()
"""Lowest first."""
PARTS = ("hw", "sw", "tb", "floorplan", "docs")


def package(module: str) -> str:
    """Package of ``ORDER`` that a module of the project belongs to."""
    parts = module.split(".")
    return parts[0] if parts[0] in ORDER else ".".join(parts[:2])


def sources() -> list[Path]:
    """Every source file of a package."""
    return [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))
            if len(path.relative_to(ROOT).parts) > 2 or part in ORDER]


def imports(text: str, where: str) -> set[str]:
    """Dotted names of every module imported anywhere in a file; relative imports are refused."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def main() -> int:
    """Print the packages; 1 if one imports a package that does not stand before it."""
    uses: dict[str, set[str]] = {name: set() for name in ORDER}
    for path in sources():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        uses[package(module)] |= {
            package(name.removeprefix("ouroboros.")) for name in imports(path.read_text(), module)
            if name.startswith("ouroboros.")}
    upwards = 0
    for n, name in enumerate(ORDER):
        below = [other for other in ORDER if other in uses[name] and other != name]
        wrong = [other for other in below if other not in ORDER[:n]]
        print(f"{name:<16} {' '.join(below)}{f'   UPWARDS: {wrong}' if wrong else ''}".rstrip())
        upwards += len(wrong)
    return int(upwards > 0)


if __name__ == "__main__":
    sys.exit(main())
