"""Space-filling curves: baselines to beat, and where the search starts.

Tiles are laid in their order along a curve over the live cores. Dies are visited in a snake, row
by row of dies; inside a die runs a snake of columns or a generalised Hilbert curve.

Ref: J. Cerveny, Gilbert: space-filling curve for rectangular domains of arbitrary size, 2018.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ouroboros.sw.place.cost import cost
from ouroboros.sw.place.instance import Grid, Instance, Ints

__all__ = ["Baselines", "baselines", "die_hilbert", "die_snake", "row_snake"]

ORIENTATIONS = 8
Vector = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Baselines:
    """Costs of the curves, and the best start."""

    row_snake: int
    """Rows of the whole grid, every second backwards."""
    die_snake: int
    """Dies in a snake, columns of a die in a snake."""
    die_hilbert: int
    """Dies in a snake, a Hilbert curve in each: the best orientation."""
    die_hilbert_orientations: tuple[int, ...]
    """All eight."""
    start: Ints
    """Core of each tile on the best of all curves, ``(tiles,)``."""


def row_snake(grid: Grid) -> Ints:
    """Live cores, row by row, odd rows backwards."""
    return _live(grid, ((x if y % 2 == 0 else grid.width - 1 - x, y)
                        for y in range(grid.height) for x in range(grid.width)))


def die_snake(grid: Grid) -> Ints:
    """Live cores, die by die in a snake, columns of a die in a snake; neighbours all along where
    the dies have an odd number of columns.
    """
    w, h = grid.die_width, grid.die_height
    inner = [(x, y if x % 2 == 0 else h - 1 - y) for x in range(w) for y in range(h)]
    return _dies(grid, inner, flip_x=0, flip_y=0, alternate=1)


def die_hilbert(grid: Grid, orientation: int) -> Ints:
    """Live cores, die by die in a snake, a generalised Hilbert curve in each die.

    Bits of ``orientation``, 0 to 7: mirrored in x, mirrored in y, run along y instead of x.
    Dies of odd rows of dies are mirrored in x, so that the curve goes on where the snake does.
    """
    w, h = grid.die_width, grid.die_height
    a, b = ((0, h), (w, 0)) if orientation & 4 else ((w, 0), (0, h))
    inner = list(_gilbert((0, 0), a, b))
    return _dies(grid, inner, flip_x=orientation & 1, flip_y=orientation >> 1 & 1, alternate=0)


def baselines(instance: Instance) -> Baselines:
    """Costs of all curves for an instance."""
    def on(curve: Ints) -> tuple[int, Ints]:
        core = curve[:instance.tiles]
        return cost(instance, core), core

    rows, dies = on(row_snake(instance.grid)), on(die_snake(instance.grid))
    hilbert = [on(die_hilbert(instance.grid, n)) for n in range(ORIENTATIONS)]
    best = min([*hilbert, dies, rows], key=lambda found: found[0])
    return Baselines(row_snake=rows[0], die_snake=dies[0],
                     die_hilbert=min(found[0] for found in hilbert),
                     die_hilbert_orientations=tuple(found[0] for found in hilbert),
                     start=best[1])


def _dies(grid: Grid, inner: list[Vector], *, flip_x: int, flip_y: int, alternate: int) -> Ints:
    """The inner curve in every die; ``alternate`` 1 mirrors odd columns of dies in y."""
    w, h = grid.die_width, grid.die_height

    def walk() -> Iterator[Vector]:
        for n in range(grid.dies_across * grid.dies_down):
            down, across = divmod(n, grid.dies_across)
            odd_row = down % 2
            if odd_row:
                across = grid.dies_across - 1 - across
            mirror_x, mirror_y = flip_x ^ odd_row, flip_y ^ (alternate & across)
            for x, y in inner:
                yield (across * w + (w - 1 - x if mirror_x else x),
                       down * h + (h - 1 - y if mirror_y else y))

    return _live(grid, walk())


def _live(grid: Grid, walk: Iterator[Vector]) -> Ints:
    ids = np.array([x + grid.width * y for x, y in walk if x < grid.width and y < grid.height],
                   np.int64)
    return ids[~np.isin(ids, np.array(grid.defects, np.int64))]


def _gilbert(at: Vector, a: Vector, b: Vector) -> Iterator[Vector]:
    """Every cell of the rectangle spanned by ``a`` and ``b``, from a corner along ``a``."""
    (x, y), (ax, ay), (bx, by) = at, a, b
    w, h = abs(ax + ay), abs(bx + by)
    dax, day, dbx, dby = np.sign((ax, ay, bx, by)).tolist()
    if h == 1:
        yield from ((x + n * dax, y + n * day) for n in range(w))
        return
    if w == 1:
        yield from ((x + n * dbx, y + n * dby) for n in range(h))
        return
    # Rounds towards minus infinity, as the published curve does.
    ax2, ay2, bx2, by2 = ax // 2, ay // 2, bx // 2, by // 2
    if 2 * w > 3 * h:
        if abs(ax2 + ay2) % 2 and w > 2:
            ax2, ay2 = ax2 + dax, ay2 + day
        yield from _gilbert(at, (ax2, ay2), b)
        yield from _gilbert((x + ax2, y + ay2), (ax - ax2, ay - ay2), b)
        return
    if abs(bx2 + by2) % 2 and h > 2:
        bx2, by2 = bx2 + dbx, by2 + dby
    yield from _gilbert(at, (bx2, by2), (ax2, ay2))
    yield from _gilbert((x + bx2, y + by2), a, (bx - bx2, by - by2))
    yield from _gilbert((x + ax - dax + bx2 - dbx, y + ay - day + by2 - dby),
                        (-bx2, -by2), (ax2 - ax, ay2 - ay))
