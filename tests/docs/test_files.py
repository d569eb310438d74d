"""Files beside the sources: container, citation, changelog agree with the project."""

import re
import tomllib
from pathlib import Path

import ouroboros

ROOT = Path(__file__).parents[2]
PACKAGES = re.compile(r"--no-install-recommends \\\n\s+([^\\\n]+)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_container_installs_what_continuous_integration_does():
    (ours,), (theirs,) = (PACKAGES.findall(read(name)) for name in ("Dockerfile", ".ci/run"))
    assert ours.split() == theirs.split()
    assert "python3" in ours.split()


def test_container_is_the_system_that_the_readme_names():
    assert "FROM debian:12-slim\n" in read("Dockerfile")
    assert "Debian 12" in read("README.md")


def test_version_is_one():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert ouroboros.__version__ == version
    assert f"\nversion: {version}\n" in read("CITATION.cff")
    assert f"\n## {version} (" in read("CHANGELOG.md")


def test_paper_is_named_alike():
    for name in ("README.md", "CITATION.cff"):
        text = " ".join(read(name).split())
        assert "2603.02737" in text and "ASPLOS 2026" in text
        assert ("Ouroboros: Wafer-Scale SRAM CIM with Token-Grained Pipelining for Large Language "
                "Model Inference") in text
