"""The status page: the mesh with its KV, sequences, tokens; it loads itself again every second."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ouroboros.sw.program.program import Program
from ouroboros.sw.server.machine import Machine

__all__ = ["status_page"]

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
SIZE = 46
"""Of a cell, in pixels."""


def status_page(machine: Machine, name: str) -> str:
    """What there is now, as HTML without scripts."""
    program, state = machine.job.program, machine.state
    mesh = program.machine.mesh
    return PAGES.get_template("status.html.j2").render(
        name=name, on=machine.on, state=state, stopped=machine.stopped,
        under_way=len(machine.answers), limit=machine.limit, context=program.context,
        cells=_cells(program, state), size=SIZE, width=mesh.width * SIZE + 2,
        height=mesh.height * SIZE + 2, machine=program.machine.name,
        held=sum(state["kv_held"]), room=state["kv_blocks"] * len(state["kv_held"]))


def _cells(program: Program, state: dict[str, Any]) -> list[dict[str, Any]]:
    """Cores: what they do, and how full those with KV are."""
    mesh, kinds = program.machine.mesh, {stage.name: stage.kind for stage in program.stages}
    roles = {role.core: role for role in program.roles}
    found = []
    for x, y in mesh.coordinates:
        role = roles.get((x, y))
        kind = kinds[role.stages[0]] if role is not None else ""
        share = 0.0
        if role is not None and kind == "kv":
            share = _member(role.stages[0], program.kv_members, state)
        found.append({"x": (x - 1) * SIZE + 1, "y": (y - 1) * SIZE + 1, "kind": kind,
                      "share": round(100 * share), "bar": round((SIZE - 8) * share),
                      "title": f"core ({x}, {y}): "
                               f"{', '.join(role.stages) if role is not None else 'unused'}"})
    return found


def _member(stage: str, members: int, state: dict[str, Any]) -> float:
    """Share of a KV core's blocks that is reserved, by the host's book.

    Its stage's name ends in its number among the members of a head, if there are several.
    """
    last = stage.rpartition(".")[2]
    member = int(last) % members if last.isdecimal() else 0
    held, room = int(state["kv_held"][member]), int(state["kv_blocks"])
    return held / max(room, 1)
