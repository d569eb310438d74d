"""Tiles and what they send each other, collected while a model is laid out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ouroboros.hw.params.isa import Type
from ouroboros.hw.params.machine import Machine
from ouroboros.sw.perf.substage import Sizes
from ouroboros.sw.place.instance import Grid, Instance, Ints, Net
from ouroboros.sw.program.image import packet_flits

__all__ = ["Mark", "Traffic"]

Name = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in the construction."""

    tiles: int
    """Tiles before it."""
    nets: int
    """Nets before it."""


@dataclass(slots=True)
class Traffic:
    """A traffic graph under construction. Bytes are those on links: payload and headers."""

    machine: Machine
    """Flit and word sizes."""
    names: list[Name] = field(default_factory=list)
    """(layer, kind, number) of each tile."""
    nets: list[Net] = field(default_factory=list)
    """In the order of construction."""
    share: float = 1.0
    """Part of all tokens that pass what is being built."""

    def tiles(self, layer: int, kind: str, count: int) -> list[int]:
        """``count`` new tiles."""
        first = len(self.names)
        self.names += [(layer, kind, n) for n in range(count)]
        return [*range(first, first + count)]

    def send(self, source: int, sinks: Sequence[int], elements: int, kind: Type, *,
             vectors: int = 1, part: float = 1.0) -> None:
        """``vectors`` vectors of ``elements``, each from ``source`` to all ``sinks`` by multicast.

        ``part`` of the tokens send it.
        """
        flits = vectors * packet_flits(Sizes(self.machine).flits(elements, kind))
        self._net(source, sinks, flits, part)

    def word(self, source: int, sinks: Sequence[int], *, words: int = 1) -> None:
        """Words of a core's buffer: a statistic of each lane."""
        self._net(source, sinks, packet_flits(words * Sizes(self.machine).scalar), 1.0)

    def credit(self, sources: Sequence[int], owner: int) -> None:
        """A credit packet from each of ``sources`` to the core that reserves its slots."""
        for source in sources:
            self._net(source, [owner], 1, 1.0)

    def _net(self, source: int, sinks: Sequence[int], flits: int, part: float) -> None:
        sinks = tuple(sink for sink in sinks if sink != source)
        volume = flits * self.machine.noc.flit_bits / 8 * part * self.share
        if sinks and volume:
            self.nets.append(Net(source=source, sinks=sinks, volume_bytes=max(round(volume), 1)))

    @property
    def mark(self) -> Mark:
        """Here."""
        return Mark(len(self.names), len(self.nets))

    def repeat(self, first: Mark, times: int) -> int:
        """Copy what was built since ``first`` (a block and the way into it) ``times`` times more.

        A copy's tiles lie behind those of the one before, and so do the tiles outside the block
        that its nets name: the block before it must have the same tiles.

        Returns
        -------
        int
            Tiles that the last copy lies behind the original.
        """
        names, nets = self.names[first.tiles:], self.nets[first.nets:]
        size = len(names)
        for copy in range(1, times + 1):
            shift = copy * size
            self.names += [(layer + copy, kind, n) for layer, kind, n in names]
            self.nets += [Net(source=net.source + shift,
                              sinks=tuple(sink + shift for sink in net.sinks),
                              volume_bytes=net.volume_bytes) for net in nets]
        return times * size

    def instance(self, name: str, grid: Grid) -> Instance:
        """Every net as its edges, source to each sink, beside the nets themselves."""
        counts = np.array([len(net.sinks) for net in self.nets], np.int64)
        edges: Ints = np.stack([
            np.repeat(np.array([net.source for net in self.nets], np.int64), counts),
            np.array([sink for net in self.nets for sink in net.sinks], np.int64),
            np.repeat(np.array([net.volume_bytes for net in self.nets], np.int64), counts)], 1)
        return Instance(name=name, grid=grid, tiles=len(self.names), edges=edges,
                        tile_names=tuple(self.names), nets=tuple(self.nets))
