"""Trace files: one packet per line."""

import csv
from pathlib import Path

from sw.noc.errors import NocError
from sw.noc.options import TracePacket

__all__ = ["read_trace"]

COLUMNS = ("cycle", "source", "destination", "flits")


def read_trace(path: Path) -> tuple[TracePacket, ...]:
    """Read a CSV file with a head line and the columns cycle, source, destination, flits.

    Nodes are numbered x + width * y, from 0; packets are sorted by cycle.

    Raises
    ------
    NocError
        If the file cannot be read; the message names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise NocError(f"{path}: cannot be read: {error}") from error
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        raise NocError(f"{path.name}: must have the columns {', '.join(COLUMNS)}, "
                       f"not {reader.fieldnames}")
    packets = []
    for line, row in enumerate(rows, start=2):
        try:
            packets.append(TracePacket(**{name: int(row[name]) for name in COLUMNS}))
        except (TypeError, ValueError):
            raise NocError(f"{path.name}, line {line}: must be whole numbers, "
                           f"not {[row[name] for name in COLUMNS]}") from None
    return tuple(sorted(packets, key=lambda packet: packet.cycle))
