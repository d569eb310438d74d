"""One transformer block as tiles: what its cores send each other for a token.

    residual slices --h8--> QKV --q8--> all members of the head --o8 (home)--> projection slices
       |   ^ (Y, shift)         --k8, v8--> one member    | maxima, contexts, den     |  ^ root
       |   root <-- sum of squares                        v int32, to the home        |  |
       +------------------- x16 ------------------------------------------------------+  |
                                                           up/gate --f8--> down <--x16---+
                                                                           | int32 partial sums

Every stage returns a credit to the core that reserves its slots: the norm root before it, or the
QKV core of a head's first query.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ouroboros.hw.params.isa import Type
from ouroboros.sw.perf.substage import Tiling
from ouroboros.sw.tiling.cores import CoreCount
from ouroboros.sw.tiling.slices import home_slices, overlap, row_slices
from ouroboros.sw.tiling.traffic import Traffic

__all__ = ["BlockTraffic", "Residual"]


@dataclass(frozen=True, slots=True)
class Residual:
    """The residual after one step, in slices of channels, and the root of the norm that follows."""

    cores: tuple[int, ...]
    """Tiles of the slices."""
    channels: tuple[range, ...]
    """What each holds."""
    root: int
    """Tile that adds the sums of squares and returns the scale."""

    def moved(self, shift: int) -> "Residual":
        """The same in a copy of the block."""
        return Residual(tuple(core + shift for core in self.cores), self.channels,
                        self.root + shift)


class BlockTraffic:
    """Builds blocks into a traffic graph.

    Parameters
    ----------
    traffic : Traffic
        Grows.
    count : CoreCount
        Tilings and KV sharing.
    """

    def __init__(self, traffic: Traffic, count: CoreCount):
        self.traffic, self.count = traffic, count
        self.machine, self.shape = count.machine, count.shape

    def embedding(self, kind: str) -> Residual:
        """Residual slices that the host fills, like those of a down projection."""
        tiling = self.count.block.down
        return self._normed(-1, kind, self.traffic.tiles(-1, kind, tiling.cores), tiling)

    def block(self, layer: int, before: Residual, *, cross: bool = False) -> Residual:
        """A block fed by ``before``; ``cross``: with attention to an encoder."""
        after = self._self_attention(layer, before)
        if cross:
            after = self._cross_attention(layer, after)
        return self._feed_forward(layer, after)

    def head(self, layer: int, before: Residual) -> None:
        """Logits and the core that picks the best."""
        tiling = self.count.head
        if tiling is None:
            return
        cores = self.traffic.tiles(layer, "lm", tiling.cores)
        [root] = self.traffic.tiles(layer, "argmax", 1)
        self.hand_over(before, cores)
        for core in cores:
            self.traffic.word(core, [root])
        self.traffic.credit([root], before.root)

    def hand_over(self, before: Residual, consumers: Sequence[int], *, rope: bool = False) -> None:
        """Normalised slices as int8 to all ``consumers``, by multicast; credits come back."""
        for core, channels in zip(before.cores, before.channels, strict=True):
            self.traffic.send(core, consumers, len(channels), Type.I8)
        if rope and self.shape.positions == "rope":
            self.traffic.send(before.cores[0], consumers, self.shape.head_dim, Type.I16)
        self.traffic.credit(consumers, before.root)

    # Attention

    def _self_attention(self, layer: int, before: Residual) -> Residual:
        shape, tiling = self.shape, self.count.block.qkv
        cores = self.traffic.tiles(layer, "qkv", tiling.cores)
        self.hand_over(before, cores, rope=True)
        # Vectors of a KV head lie together: its queries, then k, then v.
        per_kv = shape.n_heads // shape.n_kv_heads
        makers = self._makers(cores, tiling, shape.n_heads + 2 * shape.n_kv_heads)
        heads = [makers[n:n + per_kv + 2] for n in range(0, len(makers), per_kv + 2)]
        homes = self._kv(layer, "kv", [head[:-2] for head in heads], [head[-2:] for head in heads])
        return self._projection(layer, "proj", before, homes)

    def _cross_attention(self, layer: int, before: Residual) -> Residual:
        shape, cross = self.shape, self.count.cross
        assert cross is not None, "only a decoder beside an encoder attends to it"
        cores = self.traffic.tiles(layer, "cross q", cross.q.cores)
        self.hand_over(before, cores)
        per_kv = shape.n_heads // shape.n_kv_heads
        queries = self._makers(cores, cross.q, shape.n_heads)
        keys = self._makers(self.traffic.tiles(layer, "cross kv maker", cross.kv.cores), cross.kv,
                            2 * shape.n_kv_heads)
        homes = self._kv(
            layer, "cross kv",
            [queries[n:n + per_kv] for n in range(0, len(queries), per_kv)],
            [keys[n:n + 2] for n in range(0, len(keys), 2)], encoder_tokens=True)
        return self._projection(layer, "cross proj", before, homes)

    def _makers(self, cores: Sequence[int], tiling: Tiling, vectors: int) -> list[int]:
        """The core that makes each vector of ``head_dim``."""
        each = tiling.columns * self.machine.cim.outputs // self.shape.head_dim
        return [cores[n // each] for n in range(vectors)]

    def _kv(self, layer: int, kind: str, queries: Sequence[Sequence[int]],
            keys: Sequence[Sequence[int]], *, encoder_tokens: bool = False) -> list[int]:
        """KV cores of one attention layer; returns the home of each group of heads.

        ``queries`` and ``keys`` are the makers of each KV head's queries, and of its k and v.
        """
        count, traffic, head_dim = self.count, self.traffic, self.shape.head_dim
        members, heads = count.members, count.kv_heads
        tiles = traffic.tiles(layer, kind, len(queries) // heads * members)
        homes = []
        for n in range(0, len(queries), heads):
            group = tiles[n // heads * members:(n // heads + 1) * members]
            home, others = group[0], group[1:]
            makers = Counter(core for head in queries[n:n + heads] for core in head)
            for core, vectors in makers.items():
                traffic.send(core, group, head_dim, Type.I8, vectors=vectors)
            traffic.credit(group, queries[n][0])
            usual = traffic.share
            traffic.share = count.rules.prompt_share if encoder_tokens else usual
            for core, vectors in Counter(core for head in keys[n:n + heads]
                                         for core in head).items():
                if count.rules.kv_to_all_members:
                    traffic.send(core, group, head_dim, Type.I8, vectors=vectors)
                else:
                    for member in group:
                        traffic.send(core, [member], head_dim, Type.I8, vectors=vectors,
                                     part=1 / members)
            traffic.share = usual
            words = sum(makers.values())
            for member in others:
                traffic.word(member, [home], words=words)                       # maxima
                traffic.send(member, [home], words * head_dim, Type.I32)        # contexts
                traffic.word(member, [home], words=words)                       # denominators
            traffic.word(home, others, words=words)                             # their maximum
            homes.append(home)
        return homes

    # Matrices that end in the residual

    def _projection(self, layer: int, kind: str, before: Residual,
                    homes: Sequence[int]) -> Residual:
        tiling, shape = self.count.block.projection, self.shape
        cores = self.traffic.tiles(layer, kind, tiling.cores)
        width = shape.q_width // len(homes)
        self._inputs(cores, tiling, shape.q_width,
                     [(home, range(n * width, (n + 1) * width)) for n, home in enumerate(homes)])
        return self._residual(layer, kind, cores, tiling, before)

    def _feed_forward(self, layer: int, before: Residual) -> Residual:
        tiling, shape = self.count.block.down, self.shape
        up = self.traffic.tiles(layer, "up", self.count.block.up.cores)
        self.hand_over(before, up)
        cores = self.traffic.tiles(layer, "down", tiling.cores)
        each = (self.count.block.up.columns * self.machine.cim.outputs
                // (2 if shape.gated else 1))
        self._inputs(cores, tiling, shape.hidden_dim,
                     [(core, range(n * each, min((n + 1) * each, shape.hidden_dim)))
                      for n, core in enumerate(up)])
        return self._residual(layer, "down", cores, tiling, before)

    def _inputs(self, cores: Sequence[int], tiling: Tiling, inputs: int,
                makers: Sequence[tuple[int, range]]) -> None:
        """int8 inputs from their makers to the cores of every row slice that needs them."""
        for row, channels in enumerate(row_slices(self.machine, tiling, inputs)):
            takers = cores[row::tiling.row_slices]
            for maker, made in makers:
                self.traffic.send(maker, takers, overlap(made, channels), Type.I8)

    def _residual(self, layer: int, kind: str, cores: list[int], tiling: Tiling,
                  before: Residual) -> Residual:
        """Partial sums to their homes; x and the RoPE row from the slices before; credits."""
        traffic = self.traffic
        homes = home_slices(self.machine, tiling, self.shape.dim)
        for first in range(0, len(cores), tiling.row_slices):
            column = range(first, first + tiling.row_slices)
            for n in column:
                for other in column:
                    if other != n:
                        traffic.send(cores[n], [cores[other]], len(homes[other]), Type.I32)
        for source, channels in zip(before.cores, before.channels, strict=True):
            for core, home in zip(cores, homes, strict=True):
                traffic.send(source, [core], overlap(channels, home), Type.I16)
        if self.shape.positions == "rope":
            traffic.send(before.cores[0], [cores[0]], self.shape.head_dim, Type.I16)
        after = self._normed(layer, kind, cores, tiling)
        traffic.credit([*cores, after.root], before.root)
        return after

    def _normed(self, layer: int, kind: str, cores: list[int], tiling: Tiling) -> Residual:
        """The root of the norm over these slices: sums of squares in, scale out."""
        [root] = self.traffic.tiles(layer, f"{kind} norm", 1)
        for core in cores:
            self.traffic.word(core, [root])
        self.traffic.word(root, cores)
        return Residual(tuple(cores), tuple(home_slices(self.machine, tiling, self.shape.dim)),
                        root)
