"""Silicon of a chip: array, buffer, and what every chip has.

Transistors of logic at the floorplan's density, buffers at its memory density. What stands at the
edge of a chip for links to another package, and DRAM, are the same for all and left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ouroboros.hw.params.values import Value, read_values
from ouroboros.sw.lib.quantities import at
from ouroboros.sw.search.problem.instance import Instance, Kind
from ouroboros.sw.search.wafer.areas import RULES

__all__ = ["FIGURES", "Areas", "load_areas"]

FIGURES = Path(__file__).with_name("figures.toml")


@dataclass(frozen=True)
class Areas:
    """mm2 of chips."""

    figures: Mapping[str, Value]
    """Of ``figures.toml``."""
    rules: Mapping[str, Value]
    """Of the floorplan."""
    corner: str = "mid"
    """Of the figures: ``low``, ``mid`` or ``high``."""

    def _logic(self, transistors: float) -> float:
        return (transistors / 1e6 / self.rules["core.logic_density"].mid
                / self.rules["core.logic_utilisation"].mid)

    def array(self, rows: int, cols: int) -> float:
        """Of an array."""
        return self._logic(rows * cols * at(self.figures["mac"], self.corner))

    def buffer(self, area: float) -> int:
        """Bytes that an area holds."""
        return int(area * self.rules["core.memory_density"].mid * 1e6 / 8)

    def fixed(self, instance: Instance) -> float:
        """Of what every chip of an instance has: element-wise unit, router, control."""
        return self._logic(
            instance.energy.eltwise_per_cycle * at(self.figures["operation"], self.corner)
            + self.rules["core.router_bit"].mid * 8 * instance.link_bw
            + self.rules["core.control"].mid)

    def chip(self, instance: Instance, kind: Kind) -> float:
        """Of a chip."""
        memory = kind.buffer * 8 / 1e6 / self.rules["core.memory_density"].mid
        return self.array(kind.rows, kind.cols) + memory + self.fixed(instance)

    def machine(self, instance: Instance) -> float:
        """Of all chips."""
        each = [self.chip(instance, kind) for kind in instance.kinds]
        return sum(each[kind] for kind in instance.chip_kind)


def load_areas(corner: str = "mid") -> Areas:
    """The shipped figures."""
    return Areas(read_values(FIGURES), read_values(RULES), corner)
