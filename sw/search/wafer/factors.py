"""What each part of a design is worth: switched on one after the other, searched anew each time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ouroboros.sw.search.errors import SearchError
from ouroboros.sw.search.wafer.areas import Silicon
from ouroboros.sw.search.wafer.designs import Design, Model
from ouroboros.sw.search.wafer.kinds import kind_of
from ouroboros.sw.search.wafer.places import Places
from ouroboros.sw.search.wafer.search import Found, placed, space

__all__ = ["Factor", "best_design", "factors", "sweep"]


@dataclass(frozen=True)
class Factor:
    """A step from the homogeneous wafer to the winner."""

    name: str
    """What is switched on beside all before it."""
    decode: float
    """Tokens/s then."""
    design: Design
    """The best then."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        one = self.design
        return {"name": self.name, "decode_tokens_per_s": self.decode,
                "weights": one.weights.name, "kv": one.kv.name, "members": one.members,
                "heads_per_core": one.heads}


def best_design(model: Model, designs: Iterable[Design]) -> tuple[float, Design] | None:
    """The fastest, ways between dies left out; None: none has programs."""
    best: tuple[float, Design] | None = None
    for design in designs:
        try:
            value = model.on(design).decode_tokens_per_s
        except SearchError:
            continue
        if best is None or value > best[0]:
            best = value, design
    return best


def factors(model: Model, found: Found) -> list[Factor]:
    """From the homogeneous wafer on.

    Cores left over (any heads and members, one kind); KV-rich dies (the winner's KV kind); kinds
    of the weights' dies (the winner's); then the ways between dies: weights first along the snake,
    and where the search put them.
    """
    own, best = kind_of(model.base), found.best.design
    seed = found.homogeneous
    rows = [Factor("homogeneous wafer", seed.decode, seed.design)]

    def step(name: str, designs: Iterable[Design]) -> None:
        better = best_design(model, designs)
        if better is None or better[0] <= rows[-1].decode:
            better = rows[-1].decode, rows[-1].design
        rows.append(Factor(name, *better))

    step("cores left over", space(model, weights=[own], kv=[own]))
    step("KV-rich dies", space(model, weights=[own], kv=[best.kv], heads=[best.heads]))
    step("dies for weights", space(model, weights=[best.weights], kv=[best.kv],
                                   heads=[best.heads]))
    if found.best.kinds is not None:
        places = Places(model, best)
        rows.append(Factor("ways, weights first", placed(model, places, places.naive()).decode,
                           best))
    rows.append(Factor("ways, places searched", found.best.decode, best))
    return rows


def sweep(model: Model, found: Found, corners: Iterable[Silicon]) -> list[tuple[float, Factor]]:
    """The winner's kinds on other densities of cells: decode where they still fit, or less.

    Kinds are the winner's, the machine's own, or one of each; ways between dies are left out.
    """
    own, best = kind_of(model.base), found.best.design
    rows = []
    for silicon in corners:
        other = Model(silicon, model.shape, model.context, model.overrides)
        # Programs do not depend on areas.
        other.__dict__["_halves"] = model._halves
        designs = space(other, weights=sorted({own, best.weights}), kv=sorted({own, best.kv}),
                        heads=[found.homogeneous.design.heads])
        value = best_design(other, designs)
        seed = found.homogeneous
        if value is None or value[0] < seed.decode:
            value = seed.decode, seed.design
        rows.append((silicon.cell_density, Factor(f"{silicon.cell_density:g} Mb/mm2", *value)))
    return rows
