"""Folders that the project writes to by itself: caches, never beside an installation's sources."""

import os
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["cache_folder", "checkout"]

_ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "OUROBOROS_CACHE"
"""Environment variable that names the cache folder, over all else."""


def checkout() -> Path | None:
    """Root of the working copy that this code runs from; None for an installation."""
    return _ROOT if (_ROOT / "pyproject.toml").is_file() and (_ROOT / "tests").is_dir() else None


def cache_folder(kind: str) -> Path:
    """Folder for what can be made again, not created yet.

    It lies in the folder that the variable ``OUROBOROS_CACHE`` names, else in ``build/`` of the
    working copy, else in the user's cache folder, wherever the current folder is.

    Parameters
    ----------
    kind : str
        What is kept: ``quant``, ``kernels``, the name of a simulator.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().resolve() / kind
    root = checkout()
    return (root / "build" if root is not None else user_cache_path("ouroboros")) / kind
