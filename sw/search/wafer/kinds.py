"""Kinds of dies: what of a machine's cores may differ from die to die, as generator parameters."""

from dataclasses import dataclass, replace

from ouroboros.hw.params.cim import CimParams
from ouroboros.hw.params.machine import Machine

__all__ = ["DieKind", "kind_of", "kinds"]

ROWS = (1, 2)
"""Rows of a macro, times those of the machine."""
ACTIVE_ROWS = (8, 16, 32, 64)
LANES = (1, 2)
"""Lanes of the SFU, times those of the machine."""
PAGES_MAX = 1024
"""Of a KV core's page table."""


@dataclass(frozen=True, order=True, slots=True)
class DieKind:
    """A die of cores that are all alike."""

    rows: int
    """Of a macro: more of them are more memory for the same adders."""
    active_rows: int
    """At once: fewer of them are smaller adders, and more cycles for a product."""
    lanes: int
    """Of the SFU."""

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.rows} rows, {self.active_rows} active, {self.lanes} lanes"

    def machine(self, base: Machine) -> Machine:
        """A machine of such cores, with the mesh of another one.

        Buffers and parameter memories keep their bytes, the page table has an entry for every
        block that the macros hold.

        Raises
        ------
        ValueError
            If the generator cannot build it.
        """
        cim, core = base.cim, base.core
        pages = min(core.macros // 2 * (self.rows // cim.outputs), PAGES_MAX)
        return replace(
            base,
            cim=CimParams(rows=self.rows, outputs=cim.outputs, active_rows=self.active_rows,
                          k_write_rows_per_cycle=min(cim.k_write_rows_per_cycle,
                                                     self.active_rows)),
            core=replace(core, lanes=self.lanes,
                         buffer_words=core.buffer_words * core.lanes // self.lanes,
                         param_words=core.param_words * core.lanes // self.lanes),
            kv=replace(base.kv, pages=max(base.kv.pages, pages)))


def kind_of(machine: Machine) -> DieKind:
    """The kind that all dies of a machine are."""
    return DieKind(machine.cim.rows, machine.cim.active_rows, machine.core.lanes)


def kinds(base: Machine) -> tuple[DieKind, ...]:
    """The machine's own kind first, then every other one that the generator can build."""
    found = [kind_of(base)]
    for rows in ROWS:
        for active in ACTIVE_ROWS:
            for lanes in LANES:
                kind = DieKind(rows * base.cim.rows, active, lanes * base.core.lanes)
                try:
                    kind.machine(base)
                except ValueError:
                    continue
                if kind not in found:
                    found.append(kind)
    return tuple(found)
