"""Blocks that can be mutated: a bench, and the modules of its design that are changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from ouroboros.tb.regress.benches import BENCHES, BlockBench

__all__ = ["BLOCKS", "MutableBlock"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MutableBlock:
    """A block in a bench."""

    name: str
    """Of the block, as on the command line."""
    bench: BlockBench
    """Design and bench around it."""
    within: str
    """Modules that are mutated begin with this."""
    without: str = ""
    """And not with this: a block of its own."""

    def chosen(self, sources: Mapping[str, str]) -> list[str]:
        """Modules to be mutated; the design's clock gates and twins are no part of a block."""
        return [name for name in sources if name.startswith(self.within)
                and not (self.without and name.startswith(self.without))
                and not name.endswith(("clock_gate", "_twin", "_pair"))]


def _blocks() -> dict[str, MutableBlock]:
    within = {"router": ("router", "router"), "kv_manager": ("kv_manager", "kv_manager"),
              "controller": ("controller", "controller"),
              "ingress": ("network_interface", "network_interface_ingress"),
              "egress": ("egress", "egress"),
              "sfu": ("sfu", "sfu"), "macro": ("macro", "macro"),
              "array": ("array", "array_unit", "array_unit_kv_manager"),
              "tree": ("tree", "adder_tree")}
    return {name: MutableBlock(name=name, bench=BENCHES[bench], within=modules,
                               without=(*other, "")[0])
            for name, (bench, modules, *other) in within.items()}


BLOCKS = _blocks()
"""By name."""
