import pytest

from ouroboros.hw.params.isa import Op, assemble
from ouroboros.hw.params.packet import DEST_ENTRY, Unit
from ouroboros.sw.golden.array import CoreError
from ouroboros.sw.golden.tables import CoreTables


def dest(**fields):
    return DEST_ENTRY.pack({**dict.fromkeys((f.name for f in DEST_ENTRY.fields), 0), **fields})


def test_entries_are_read_as_they_were_written_last():
    tables = CoreTables((2, 1))
    for x in (3, 5):
        tables.write(Unit.DEST, 4, dest(x=x))
        assert tables.entry(Unit.DEST, 4, DEST_ENTRY)["x"] == x
    for op in (Op.END, Op.FREE):
        tables.write(Unit.PROGRAM, 0, assemble(op))
        assert tables.instruction(0)[0] is op
    assert tables.written(Unit.DEST) == {4: dest(x=5)} and tables.written(Unit.STAGE) == {}


def test_entries_that_were_never_written():
    tables = CoreTables((2, 1))
    tables.write(Unit.DEST, 0, dest())
    with pytest.raises(CoreError, match=r"^core \(2, 1\): DEST entry 1 was never written$"):
        tables.entry(Unit.DEST, 1, DEST_ENTRY)
    with pytest.raises(CoreError, match=r"^core \(2, 1\): PROGRAM entry 7 was never written$"):
        tables.instruction(7)
