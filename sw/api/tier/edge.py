"""Pools of computing memory at the wafer's edge: options in, rates by context out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.api.catalogue import model_names
from ouroboros.sw.api.shared import OnWafer
from ouroboros.sw.api.tier.tier import WithTechnology
from ouroboros.sw.lib.options import option
from ouroboros.sw.models.config_shape import any_shape
from ouroboros.sw.tier.edge import Edge, Rates, Wafers
from ouroboros.sw.tier.errors import TierError
from ouroboros.sw.tier.pictures import EDGE_MARK, draw_edge
from ouroboros.sw.tier.pool_side import BANKS
from ouroboros.sw.tier.technology import load_technology

__all__ = ["EdgeOptions", "EdgeResult", "estimate_edge"]

CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


@dataclass(frozen=True, kw_only=True)
class EdgeOptions(OnWafer, WithTechnology):
    """A model on wafers with pools."""

    model: str = option("llama-33b", names=model_names, metavar="FILE.toml|config.json")
    """Shipped shape, or path of a TOML file or of a config.json."""
    wafers: int = option(1, metavar="N", least=1, most=64)
    """That the blocks are shared out over."""
    pools: int = option(1, metavar="N", least=1, most=4096)
    """At edge ports, one each."""
    context: int = option(32768, metavar="N", least=128)
    """Tokens that every token attends to."""
    banks: str = option("lockstep", choices=lambda: BANKS)
    """Activation of a rank's banks."""
    head_rows: int | None = option(None, metavar="N", least=1)
    """Outputs of the head on the wafer, the host computes the others: where the vocabulary exceeds
    what one core can compare."""
    plot: Path | None = option(None, written=True, mark=EDGE_MARK, suffixes=(".svg", ".png"))
    """Picture: tokens/s by context, without pools, with one, and with all."""


@dataclass(frozen=True, kw_only=True)
class EdgeResult:
    """What the pools bring."""

    edge: Edge
    """Wafers and pools."""
    context: int
    """Asked for."""
    alone: tuple[float, int]
    """Tokens/s and sequences of the wafers alone."""
    tier: Rates
    """Of sequences that lie in the pools."""
    both: Rates
    """With those on the wafer."""
    split: tuple[float, Rates]
    """Best share of split sequences in the pools, and its rates."""

    @property
    def gain(self) -> float | None:
        """More tokens/s, over the wafer's; none where it serves nothing."""
        return self.both.tokens_per_s / self.alone[0] - 1 if self.alone[0] else None

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        e, own = self.edge, self.edge.organisation
        return {
            "model": e.shape.name, "machine": e.wafers.machine.name, "wafers": e.wafers.wafers,
            "members": e.wafers.members, "pools": e.pools, "banks": e.banks,
            "context": self.context, "longest_on_wafer": e.wafers.most_context,
            "chips_of_a_head": own.chips_of_a_head, "stall": own.stall(e.efficiency),
            "pool_bytes_per_s": e.pool_bytes_per_s, "kv_token_bytes": e.token_bytes,
            "link_bytes_per_token": e.link_bytes,
            "link_bytes_per_s_of_a_pool": self.tier.tokens_per_s / max(e.pools, 1)
            * e.link_bytes / 2,
            "alone": {"tokens_per_s": self.alone[0], "sequences": self.alone[1]},
            "tier": self.tier.as_dict(), "both": self.both.as_dict(), "gain": self.gain,
            "bandwidth_ratio": e.ratio(self.context),
            "balanced_share": e.balanced_share(self.context),
            "split": {"share": self.split[0], **self.split[1].as_dict()}}


def estimate_edge(options: EdgeOptions) -> EdgeResult:
    """Rates of a model on wafers with pools; draws them if asked for.

    Raises
    ------
    OuroborosError
        If the model does not fit the wafers, or the context no pool.
    """
    shape, machine = any_shape(options.model), load_machine(options.machine)
    if options.head_rows is not None:
        if options.head_rows > shape.vocab_size:
            raise TierError(f"head_rows must be at most {shape.vocab_size} (the vocabulary of "
                            f"{shape.name}), not {options.head_rows}")
        shape = replace(shape, vocab_size=options.head_rows)
    technology, _ = load_technology(options.technology)
    wafers = Wafers(machine, shape, options.wafers)
    edge = Edge(wafers=wafers, technology=technology, pools=options.pools, banks=options.banks)
    edge.check(options.context)
    found = EdgeResult(
        edge=edge, context=options.context, alone=wafers.rate(options.context),
        tier=edge.whole(options.context), both=edge.beside(options.context),
        split=edge.split(options.context))
    if options.plot is not None:
        draw_edge([replace(edge, pools=n) for n in sorted({1, options.pools})],
                  [c for c in CONTEXTS if edge.sequences(c)], options.plot)
    return found
