"""A small machine with the wafer's cores, and rules whose pitch fits its dies."""

from dataclasses import replace

import pytest

from ouroboros.floorplan.plan import plan_floor
from ouroboros.floorplan.rules import load_rules
from ouroboros.hw.params.machine import MeshParams, load_machine


@pytest.fixture(scope="session")
def rules():
    return load_rules()


@pytest.fixture(scope="session")
def wafer(rules):
    """The full wafer's plan."""
    return plan_floor(load_machine("wafer"), rules)


@pytest.fixture(scope="session")
def small_machine():
    mesh = MeshParams(width=6, height=6, die_width=3, die_height=2)
    machine = load_machine("wafer")
    return replace(machine, name="2 x 3 dies", mesh=mesh)


@pytest.fixture(scope="session")
def small_rules(rules):
    die = replace(rules.die, pitch_x=replace(rules.die.pitch_x, mid=3 * 1816 + 280),
                  pitch_y=replace(rules.die.pitch_y, mid=2 * 1790 + 280))
    return replace(rules, die=die)


@pytest.fixture(scope="session")
def small(small_machine, small_rules):
    """Plan of 2 x 3 dies of 3 x 2 cores."""
    return plan_floor(small_machine, small_rules)
