"""Trace files: one packet per line."""

import csv
from pathlib import Path

from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.experiment.options import TracePacket

__all__ = ["read_trace"]

COLUMNS = ("cycle", "source", "destination", "flits")
OPTIONAL = ("way", "targets")


def read_trace(path: Path) -> tuple[TracePacket, ...]:
    """Read a CSV file with a head line and the columns cycle, source, destination, flits.

    It may also have ``way``, the node of a waypoint, and ``targets``, the destinations of a
    multicast packet with semicolons between (``3;7;12``), beside which ``destination`` is empty;
    both may be empty. Nodes are numbered x + width * y, from 0; packets are sorted by cycle.

    Raises
    ------
    NocError
        If the file cannot be read; the message names line and column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NocError(f"{path}: cannot be read: {error}") from error
    names = set(reader.fieldnames or ())
    if not set(COLUMNS) <= names <= {*COLUMNS, *OPTIONAL}:
        raise NocError(f"{path.name}: must have the columns {', '.join(COLUMNS)} and may have "
                       f"{' and '.join(OPTIONAL)}, not {reader.fieldnames}")
    packets = [_packet(row, path.name, line) for line, row in enumerate(rows, start=2)]
    return tuple(sorted(packets, key=lambda packet: packet.cycle))


def _packet(row: dict[str | None, str | None], name: str, line: int) -> TracePacket:
    where = f"{name}, line {line}"
    if None in row:
        raise NocError(f"{where}: must have {len(row) - 1} fields, not more: {row[None]}")
    targets = row.get("targets") or ""
    found = {column: _number(row[column], where, column) for column in COLUMNS
             if column != "destination" or not targets or row[column]}
    if row.get("way"):
        found["way"] = _number(row["way"], where, "way")
    if targets and "destination" in found:
        raise NocError(f"{where}: destination must be empty beside targets, "
                       f"not {row['destination']!r}")
    return TracePacket(**found, line=line, targets=tuple(
        _number(part, where, "targets") for part in targets.split(";")) if targets else ())


def _number(text: str | None, where: str, name: str) -> int:
    try:
        return int(text or "")
    except ValueError:
        kind = "whole numbers with ; between" if name == "targets" else "a whole number"
        raise NocError(f"{where}: {name} must be {kind}, not {text!r}") from None
