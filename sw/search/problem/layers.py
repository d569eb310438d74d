"""Layers of an instance's blocks: which reads which.

A block: norm1; QKV, attention and projection in tiles; res1; both feed-forward matrices in tiles;
res2. A layer reads a whole stage, one other layer, or both, and nothing else.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ouroboros.sw.search.problem.instance import Instance

__all__ = ["NONE", "STAGES", "Ints", "Layers"]

Ints = npt.NDArray[np.int64]
STAGES = ("norm1", "qkv", "attn", "proj", "res1", "ffn1", "ffn2", "res2")
"""Of a block, in order."""
NONE = -1
"""Instead of a stage or layer where there is none."""


@dataclass(frozen=True)
class Layers:
    """Layers in the order of a block after the other, stage after stage, tile after tile."""

    instance: Instance
    """What has them."""

    @cached_property
    def sizes(self) -> Ints:
        """Layers of each stage of all blocks, ``(stages,)``."""
        tiles, ffn = self.instance.tiles, self.instance.ffn_tiles
        return np.tile([1, tiles, tiles, tiles, 1, ffn, ffn, 1], self.instance.blocks)

    @cached_property
    def first(self) -> Ints:
        """First layer of each stage, ``(stages,)``."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def stage(self) -> Ints:
        """Stage of each layer, counted through the blocks, ``(layers,)``."""
        return np.repeat(np.arange(self.sizes.size), self.sizes)

    @cached_property
    def tile(self) -> Ints:
        """Place of each layer in its stage, ``(layers,)``."""
        return np.arange(self.stage.size) - self.first[self.stage]

    @cached_property
    def kind(self) -> Ints:
        """Index of each layer's stage in ``STAGES``, ``(layers,)``."""
        return self.stage % len(STAGES)

    @cached_property
    def block(self) -> Ints:
        """Block of each layer, ``(layers,)``."""
        return self.stage // len(STAGES)

    @cached_property
    def whole(self) -> Ints:
        """Stage of which each layer reads every tile, or ``NONE``, ``(layers,)``."""
        reads = np.isin(self.kind, [STAGES.index(name) for name in ("proj", "res1", "ffn2",
                                                                    "res2")])
        return np.where(reads, self.stage - 1, NONE)

    @cached_property
    def single(self) -> Ints:
        """The other layer that each layer reads, or ``NONE``, ``(layers,)``.

        The residual before, of norm1 and res1; the own tile of QKV, of attention; norm1 and res1,
        of what follows them, and res1 of res2.
        """
        found = np.full(self.stage.size, NONE)
        for layer, (stage, kind) in enumerate(zip(self.stage, self.kind, strict=True)):
            name = STAGES[kind]
            if name in ("norm1", "res1"):
                # res2 of the block before is the layer before norm1.
                found[layer] = self.first[stage - kind] - 1
            elif name == "attn":
                found[layer] = self.first[stage - 1] + self.tile[layer]
            elif name in ("qkv", "ffn1"):
                found[layer] = self.first[stage - 1]
            elif name == "res2":
                found[layer] = self.first[stage - 3]
        return found

    @cached_property
    def last_reader(self) -> Ints:
        """Last layer that reads each layer; ``NONE`` where none does, ``(layers,)``."""
        found = np.full(self.stage.size, NONE)
        for layer in range(found.size):
            if self.whole[layer] != NONE:
                found[self.stage == self.whole[layer]] = layer
            if self.single[layer] != NONE:
                found[self.single[layer]] = layer
        return found
