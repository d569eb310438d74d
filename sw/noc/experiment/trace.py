"""Trace files: one packet per line."""

from pathlib import Path

from ouroboros.sw.lib.csv_file import Row, read_rows
from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import CYCLES_MAX, TracePacket

__all__ = ["read_trace"]

COLUMNS = ("cycle", "source", "destination", "flits")
OPTIONAL = ("way", "targets")
NODES_MAX = 1 << 24
"""Above every node of every mesh; the mesh itself says which there are."""


def read_trace(path: Path) -> tuple[TracePacket, ...]:
    """Read a CSV file with a head line and the columns cycle, source, destination, flits.

    It may also have ``way``, the node of a waypoint, and ``targets``, the destinations of a
    multicast packet with semicolons between (``3;7;12``), beside which ``destination`` is empty;
    both may be empty. Nodes are numbered x + width * y, from 0; packets are sorted by cycle.

    Raises
    ------
    OuroborosError
        If the file cannot be read; the message names line and column.
    """
    packets = [_packet(row) for row in read_rows(path, COLUMNS, OPTIONAL)]
    if not packets:
        raise NocError(f"{path}: must have at least one packet, not none")
    return tuple(sorted(packets, key=lambda packet: packet.cycle))


def _packet(row: Row) -> TracePacket:
    targets = row.cells.get("targets", "")
    if targets and row.cells["destination"]:
        raise row.refuse("destination", "empty beside targets")
    found = {column: row.whole(column, 0, NODES_MAX) for column in ("destination", "way")
             if row.cells.get(column) or (column == "destination" and not targets)}
    return TracePacket(
        cycle=row.whole("cycle", 0, CYCLES_MAX), source=row.whole("source", 0, NODES_MAX),
        flits=row.whole("flits", 0, NODES_MAX), **found, line=row.line, targets=_targets(row)
        if targets else ())


def _targets(row: Row) -> tuple[int, ...]:
    parts = row.cells["targets"].split(";")
    if not all(part.strip().isdecimal() and part.isascii() and int(part) <= NODES_MAX
               for part in parts):
        raise row.refuse("targets", "whole numbers with ; between")
    return tuple(map(int, parts))
