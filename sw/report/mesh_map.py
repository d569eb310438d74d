"""The mesh from above: what every core does, and how many flits its router passed on."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from ouroboros.hw.params.position import Position
from ouroboros.sw.program.program import Program, Role
from ouroboros.sw.report.svg import Svg

__all__ = ["KINDS", "heat_map", "role_map"]

KINDS = ("embed", "qkv", "kv", "proj", "up", "down", "lm")
"""Kinds with a colour of their own; all others (roots of split norms) share one."""
KIND_WORDS = {"embed": "embedding in", "qkv": "Q, K, V projections", "kv": "KV cache, attention",
              "proj": "attention output", "up": "gate and up", "down": "down projection",
              "lm": "logits, argmax", "other": "norm statistics"}
CELL_WIDTH, CELL_HEIGHT, GAP, LEFT, TOP = 122, 66, 18, 96, 36


def role_map(program: Program) -> str:
    """Roles by colour and name, macros in use, and the way of a token."""
    mesh, macros = program.machine.mesh, program.machine.core.macros
    roles = {role.core: role for role in program.roles}
    kinds = {stage.name: stage.kind for stage in program.stages}
    svg = _mesh(program, "Roles of the cores")
    svg.path(_way(list(dict.fromkeys(stage.core for stage in program.stages))), "way")
    for y in range(1, mesh.height + 1):
        for x in range(1, mesh.width + 1):
            _role_cell(svg, (x, y), roles.get((x, y)), kinds, macros)
    shown = dict.fromkeys(kind if kind in KINDS else "other" for kind in kinds.values())
    at, foot = float(LEFT), svg.height - 14
    for kind in shown:
        svg.rect(at, foot - 10, 12, 12, f"k-{kind}", rx=2)
        svg.text(at + 18, foot, KIND_WORDS[kind], "legend")
        at += 44 + 6.6 * len(KIND_WORDS[kind])
    return str(svg)


def heat_map(program: Program, values: Mapping[Position, int], unit: str) -> str:
    """A number for each core, the larger the darker."""
    mesh, most = program.machine.mesh, max(values.values(), default=0)
    svg = _mesh(program, f"{unit} per core")
    for y in range(1, mesh.height + 1):
        for x in range(1, mesh.width + 1):
            left, top = _corner((x, y))
            value = values.get((x, y))
            if value is None:
                svg.rect(left, top, CELL_WIDTH, CELL_HEIGHT, "cell-unused", rx=6)
                continue
            share = value / most if most else 0
            svg.rect(left, top, CELL_WIDTH, CELL_HEIGHT, "heat", rx=6,
                     tip=f"core ({x}, {y}): {value:,} {unit}",
                     extra=f' style="--share:{100 * share:.0f}%"')
            svg.text(left + CELL_WIDTH / 2, top + CELL_HEIGHT / 2 + 5, f"{value:,}",
                     "heat-dark" if share > 0.85 else "heat-light", anchor="middle")
    svg.text(LEFT, svg.height - 14, f"{unit}; colour from 0 to {most:,}", "legend")
    return str(svg)


def _corner(core: Position) -> tuple[float, float]:
    return (LEFT + (core[0] - 1) * (CELL_WIDTH + GAP), TOP + (core[1] - 1) * (CELL_HEIGHT + GAP))


def _centre(core: Position) -> tuple[float, float]:
    left, top = _corner(core)
    return left + CELL_WIDTH / 2, top + CELL_HEIGHT / 2


def _way(cores: Sequence[Position]) -> str:
    """Path from core to core; cells are drawn over it, so it must run in rows and gaps."""
    x, y = _centre(cores[0])
    parts = [f"M{x:.0f} {y:.0f}"]
    for (from_x, from_y), to in pairwise(cores):
        x, y = _centre(to)
        if from_x != to[0] and from_y != to[1]:
            gap = _corner((max(from_x, to[0]), from_y))[0] - GAP / 2
            parts.append(f"H{gap:.0f}")
        elif abs(from_y - to[1]) > 1:
            parts.append(f"H{_corner(to)[0] - GAP / 2:.0f}")
        parts.append(f"V{y:.0f}H{x:.0f}")
    return "".join(parts)


def _mesh(program: Program, label: str) -> Svg:
    """Coordinates and the host's port."""
    mesh = program.machine.mesh
    width = LEFT + mesh.width * (CELL_WIDTH + GAP)
    svg = Svg(width, TOP + mesh.height * (CELL_HEIGHT + GAP) + 34, label)
    for x in range(1, mesh.width + 1):
        svg.text(_centre((x, 1))[0], TOP - 12, f"x = {x}", "tick", anchor="middle")
    for y in range(1, mesh.height + 1):
        if y != mesh.host_y:
            svg.text(LEFT - 12, _centre((1, y))[1] + 4, f"y = {y}", "tick", anchor="end")
    top = _corner((1, mesh.host_y))[1]
    svg.line(62, top + CELL_HEIGHT / 2, LEFT, top + CELL_HEIGHT / 2, "port")
    svg.rect(6, top + 14, 56, CELL_HEIGHT - 28, "host", rx=6, tip="the host's port")
    svg.text(34, top + CELL_HEIGHT / 2 + 4, "host", "host-name", anchor="middle")
    return svg


def _role_cell(svg: Svg, core: Position, role: Role | None, kinds: Mapping[str, str],
               macros: int) -> None:
    left, top = _corner(core)
    if role is None:
        svg.rect(left, top, CELL_WIDTH, CELL_HEIGHT, "cell-unused", rx=6,
                 tip=f"core {core}: unused")
        svg.text(left + CELL_WIDTH / 2, top + CELL_HEIGHT / 2 + 4, "unused", "tick",
                 anchor="middle")
        return
    styles = [kind if kind in KINDS else "other" for kind in map(kinds.__getitem__, role.stages)]
    # A core of several stages is split, one strip for each.
    height = (CELL_HEIGHT - 16) / len(styles)
    tip = f"core {core}: {', '.join(role.stages)}; {role.macros_used} of {macros} macros"
    svg.rect(left, top, CELL_WIDTH, CELL_HEIGHT, "cell-under", rx=6)
    for n, (name, style) in enumerate(zip(role.stages, styles, strict=True)):
        y = top + n * height
        # The last one reaches to the bottom, under the macros.
        full = height + 16 if n == len(styles) - 1 else height
        svg.rect(left, y, CELL_WIDTH, full, f"cell k-{style}", rx=6, tip=tip)
        svg.rect(left, y + 3, 5, full - 6, f"k-{style}", rx=2)
        svg.text(left + 14, y + min(23, height / 2 + 5), name,
                 "cell-name" if len(styles) == 1 else "cell-name small")
    pitch = (CELL_WIDTH - 24) / macros
    for macro in range(macros):
        svg.rect(left + 14 + macro * pitch, top + CELL_HEIGHT - 12, pitch - min(2, pitch / 3), 6,
                 "macro" if macro < role.macros_used else "macro-free", rx=1)
