"""Cases that benches shall meet, group by group, and those that they have met."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ouroboros.hw.kv.layout import KvOp
from ouroboros.hw.params.isa import Fn, Op
from ouroboros.hw.params.packet import Kind, Port

__all__ = ["CASES", "Met", "merged"]

Case = tuple[str, ...]
ARRAY_OPS = (Op.LOAD, Op.MVM, Op.APPEND, Op.SCORE, Op.CONTEXT, Op.FREE)


def _pairs(*sides: Iterable[str]) -> frozenset[Case]:
    return frozenset(product(*sides))


CASES: dict[str, tuple[str, frozenset[Case]]] = {
    "packet": ("packets into a core, by kind", _pairs(
        kind.name for kind in Kind if kind is not Kind.REPLY)),
    "route": ("ways through a router: from, to, one port or several", frozenset(
        (source.name, port.name, kind) for source in Port for port in Port
        for kind in ("unicast", "multicast"))),
    "kv": ("commands to a KV manager, by what comes of them", frozenset({
        (KvOp.LOOKUP.name, "found"), (KvOp.LOOKUP.name, "absent"),
        (KvOp.APPEND.name, "there"), (KvOp.APPEND.name, "new"), (KvOp.APPEND.name, "full"),
        (KvOp.APPEND.name, "refused"), (KvOp.FREE.name, "done"), (KvOp.FREE.name, "refused")})),
    "array": ("instructions of the array unit, done or poisoned", _pairs(
        (op.name for op in ARRAY_OPS), ("done",)) | {(Op.APPEND.name, "poisoned")}),
    "sfu": ("functions of the SFU", _pairs(fn.name for fn in Fn)),
}
"""By group: what it is, and its cases, as ``tb.lib.met.met`` is told them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Met:
    """A group of cases."""

    group: str
    """Its name."""
    title: str
    """What it is."""
    all: frozenset[Case]
    """Its cases."""
    seen: frozenset[Case]
    """Those that came up."""

    @property
    def missing(self) -> tuple[Case, ...]:
        """The others, in order."""
        return tuple(sorted(self.all - self.seen))


def merged(files: Iterable[Path]) -> tuple[Met, ...]:
    """What the runs that wrote these files have met together."""
    seen: dict[str, set[Case]] = defaultdict(set)
    for file in files:
        for line in file.read_text().splitlines():
            group, *case = json.loads(line)
            seen[group].add(tuple(case))
    return tuple(Met(group=group, title=title, all=cases, seen=frozenset(seen[group] & cases))
                 for group, (title, cases) in CASES.items())
