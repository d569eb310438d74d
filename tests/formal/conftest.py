"""Proofs need the extra 'formal' and are skipped without it."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from ouroboros.tb.formal.prove import TOOLS


def pytest_collection_modifyitems(items):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    for item in items:
        if missing and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)}: make formal"))
