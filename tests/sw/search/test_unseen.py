"""Instances of docs/search.md that the search was not made on: made, and a small one searched."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from ouroboros.docs.order import ROOT
from ouroboros.sw.cli.main import cli
from ouroboros.sw.search.baselines.compare import compare
from ouroboros.sw.search.evaluation.tables import Problem
from ouroboros.sw.search.problem.read import read_instance

PAGE = (ROOT / "docs" / "search.md").read_text()
RECIPES = {match[2]: match[1] for match in re.finditer(
    r"^ouroboros (search make (?:.*\\\n)*.*--out (u\d+)\.json)$", PAGE, re.MULTILINE)}
ROWS = {cells[0]: cells for cells in (
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines() if re.match(r"\| u\d+ \|", line))}


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unseen")
    found = {}
    for name, recipe in RECIPES.items():
        words = shlex.split(recipe.replace("\\\n", " "))
        path = folder / words[-1]
        result = CliRunner().invoke(cli, [*words[:-1], str(path)])
        assert result.exit_code == 0, result.output
        found[name] = Problem(read_instance(Path(path)))
    return found


def test_recipes_make_what_the_table_says(problems):
    assert len(problems) >= 6 and {*problems} == {*ROWS}
    for name, problem in problems.items():
        instance = problem.instance
        assert ROWS[name][2] == (f"{instance.layers} x {len(instance.micro_batches)}, "
                                 f"{instance.grid[0]} x {instance.grid[1]}")


def test_instances_differ_in_what_counts(problems):
    all_ = [problem.instance for problem in problems.values()]
    assert len({one.digest for one in all_}) == len(all_)
    assert len({one.model for one in all_}) >= 4
    assert len({one.grid for one in all_}) >= 5
    assert {len(one.kinds) for one in all_} == {1, 2}


@pytest.mark.slow
def test_no_baseline_is_better_on_the_smallest(problems):
    smallest = min(problems.values(), key=lambda one: one.instance.genes * one.instance.chips)
    [row] = compare([smallest], evaluations=40_000, seeds=2, baseline_evaluations=6_000).rows
    assert row.beaten_by == ()
    assert row.against(row.best_named.name) < -0.18 and row.against("ga_published") < -0.3


def test_a_short_search_is_not_above_longer_ones_of_others(problems):
    smallest = min(problems.values(), key=lambda one: one.instance.genes * one.instance.chips)
    [row] = compare([smallest], evaluations=6_000, seeds=1, baseline_evaluations=2_400).rows
    assert row.beaten_by == ()
