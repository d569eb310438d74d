"""Silicon of a die kind: equal dies, so how many of its cores one holds.

Areas are those of the floorplan's rules: a core's blocks by rule, its macros what is left. A macro
is cells and adders. Cells go with bits, at a density that the rules give a spread of; the rest of
the published macro goes with active rows as the gates of ``hw.cim.macro`` do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ouroboros.hw.params.machine import Machine
from ouroboros.hw.params.router_size import router_memory_bits
from ouroboros.hw.params.values import Value, read_values
from ouroboros.sw.lib.quantities import at
from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.kinds import DieKind, kind_of

__all__ = ["FIGURES", "RULES", "Silicon", "load_silicon"]

FIGURES = Path(__file__).with_name("figures.toml")
RULES = Path(__file__).parents[3] / "floorplan" / "rules.toml"
"""The floorplan's figures; its code stands above this package."""
PARAM_BITS = 16
UM2_PER_MM2 = 1e6
ASPECT_MAX = 1.5
"""Of a core: its H-tree and rows of links are made for about a square."""


@dataclass(frozen=True)
class Silicon:
    """Areas on the dies of a machine.

    Raises
    ------
    SearchError
        If cells at ``cell_density`` take more than the machine's macros have.
    """

    base: Machine
    """Whose dies they are: each kind's die is as large."""
    figures: Mapping[str, Value]
    """Of ``figures.toml``."""
    rules: Mapping[str, Value]
    """Of the floorplan."""
    corner: str = "mid"
    """Of ``cell_density``."""

    def __post_init__(self) -> None:
        if self.adder_share <= 0:
            raise SearchError(
                f"cell_density must be above {self.base_macro_density:.2f} Mb/mm2, what the "
                f"macros of machine {self.base.name!r} come to with their adders, not "
                f"{self.cell_density:g}")

    @property
    def cell_density(self) -> float:
        """Mb/mm2 of cells with what goes with them."""
        return at(self.figures["cell_density"], self.corner)

    def _rule(self, name: str) -> float:
        return self.rules[name].mid

    def _logic(self, transistors: float) -> float:
        """mm2."""
        return (transistors / 1e6 / self._rule("core.logic_density")
                / self._rule("core.logic_utilisation"))

    @cached_property
    def base_core_mm2(self) -> float:
        """A core of the machine's own kind: the die without scribe and corridors, shared out."""
        mesh, margin = self.base.mesh, self._rule("die.scribe") + 2 * self._rule("die.corridor")
        return ((self._rule("die.pitch_x") - margin) / mesh.die_width
                * (self._rule("die.pitch_y") - margin) / mesh.die_height / UM2_PER_MM2)

    def blocks_mm2(self, machine: Machine) -> float:
        """Everything of a core but its macros."""
        core, density = machine.core, self._rule("core.memory_density") * 1e6
        memories = core.buffer_words * core.word_bits + core.param_words * core.lanes * PARAM_BITS
        return memories / density + self._logic(
            self._rule("core.control") + self._rule("core.sfu_lane") * core.lanes
            + self._rule("core.router_bit") * machine.noc.flit_bits
            + self._rule("core.flip_flop") * router_memory_bits(machine.noc))

    @cached_property
    def base_macro_mm2(self) -> float:
        """A macro of the machine's own kind: what the blocks leave."""
        return (self.base_core_mm2 - self.blocks_mm2(self.base)) / self.base.core.macros

    @property
    def base_macro_density(self) -> float:
        """Mb/mm2, adders included."""
        return _megabits(self.base) / self.base_macro_mm2

    @property
    def adder_share(self) -> float:
        """Of a macro's area: all that is not cells."""
        return 1 - _megabits(self.base) / self.cell_density / self.base_macro_mm2

    def macro_transistors(self, active_rows: int) -> float:
        """Of a macro's logic for each output, by the gates."""
        return (self.figures["macro_output"].mid
                + active_rows * self.figures["macro_output_row"].mid)

    def macro_mm2(self, machine: Machine) -> float:
        """A macro of another kind."""
        adders = self.adder_share * self.base_macro_mm2
        return (_megabits(machine) / self.cell_density
                + adders * self.macro_transistors(machine.cim.active_rows)
                / self.macro_transistors(self.base.cim.active_rows))

    def core_mm2(self, kind: DieKind) -> float:
        """A core of a kind."""
        machine = kind.machine(self.base)
        return self.blocks_mm2(machine) + machine.core.macros * self.macro_mm2(machine)

    def die_mesh(self, kind: DieKind) -> tuple[int, int]:
        """Columns and rows of cores of a die of that kind.

        Of all meshes whose cores are no longer than ``ASPECT_MAX`` times their width, the one of
        most cores; of those the one closest to the machine's, whose links meet at borders.
        """
        mesh, share = self.base.mesh, self.base_core_mm2 / self.core_mm2(kind)
        if share >= 1 - 1e-9 and kind == kind_of(self.base):
            return mesh.die_width, mesh.die_height
        # What rounding of a core's own area takes is not a core.
        most = int(mesh.die_width * mesh.die_height * share + 1e-9)
        aspect = self.base_aspect
        found = [(across, along) for across in range(1, most + 1) for along in [most // across]
                 if 1 / ASPECT_MAX <= aspect * mesh.die_width / across / (
                     mesh.die_height / along) <= ASPECT_MAX]
        if not found:
            raise SearchError(f"a die must hold cores of {kind.name} that are closer to a square, "
                              f"and does not hold more than {most}")
        return max(found, key=lambda size: (size[0] * size[1],
                                            -abs(size[0] - mesh.die_width)))

    @property
    def base_aspect(self) -> float:
        """Width over height of a core of the machine's own kind."""
        mesh, margin = self.base.mesh, self._rule("die.scribe") + 2 * self._rule("die.corridor")
        return ((self._rule("die.pitch_x") - margin) / mesh.die_width
                / ((self._rule("die.pitch_y") - margin) / mesh.die_height))


def _megabits(machine: Machine) -> float:
    return machine.cim.rows * machine.cim.outputs * 8 / 1e6


def load_silicon(base: Machine, given: Mapping[str, float] | None = None,
                 corner: str = "mid") -> Silicon:
    """The shipped figures, some with other values.

    Raises
    ------
    SearchError
        If there is no such figure, or its value is not positive.
    """
    figures = read_values(FIGURES)
    for name, value in (given or {}).items():
        if name not in figures:
            raise SearchError(f"figure must be one of {', '.join(figures)}, not {name!r}")
        if not 0 < value < float("inf"):
            raise SearchError(f"{name} must be above 0, not {value!r}")
        figures[name] = Value(mid=value, unit=figures[name].unit, source="given by the user; "
                              f"default {figures[name].mid}: {figures[name].source}")
    return Silicon(base, figures, read_values(RULES), corner)
