"""The tutorials run, and their notebooks are made from them."""

import json
import os
import subprocess
import sys

import pytest

from ouroboros.docs.notebooks import FOLDER, cells, notebooks

SIMULATED = {"checkpoint.py", "verification.py"}
"""Those that run a machine, golden or RTL, and take more than a second."""
SCRIPTS = [pytest.param(path, id=path.stem,
                        marks=pytest.mark.sim if path.name in SIMULATED else ())
           for path in sorted(FOLDER.glob("*.py"))]


@pytest.mark.long
@pytest.mark.parametrize("path", SCRIPTS)
def test_tutorial_runs(path, tmp_path):
    run = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True,
                         check=False, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.strip()


@pytest.mark.parametrize(("path", "text"), [
    pytest.param(path, text, id=path.name) for path, text in notebooks()])
def test_notebook_is_made_from_its_script(path, text):
    assert path.read_text(encoding="utf-8") == text, f"{path.name} is old; type: make docs"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_code_of_a_notebook_is_the_script_s(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    code = "\n\n".join("".join(cell["source"]) for cell in found["cells"]
                       if cell["cell_type"] == "code")
    script = path.with_suffix(".py").read_text(encoding="utf-8")
    kept = [line for line in script.splitlines() if line.strip() and not line.startswith("#")]
    assert [line for line in code.splitlines()
            if line.strip() and not line.startswith("#")] == kept


def test_cells():
    text = "# %% [markdown]\n# # Title\n#\n# words\n\n# %%\nx = 1\n\n"
    assert list(cells(text)) == [("markdown", ["# Title", "", "words"]), ("code", ["x = 1"])]


@pytest.mark.parametrize(("text", "message"), [
    ("x = 1\n", "line 1 must be '# %%' or '# %% [markdown]', not 'x = 1'"),
    ("# %% [markdown]\nx = 1\n", "line 2 of a text must begin with '# ', not 'x = 1'"),
])
def test_refused_scripts(text, message):
    with pytest.raises(ValueError) as error:
        list(cells(text))
    assert str(error.value) == message
