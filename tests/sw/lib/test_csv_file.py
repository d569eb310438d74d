import pytest

from ouroboros.sw.lib.csv_file import read_rows
from ouroboros.sw.lib.errors import FileError

COLUMNS = ("a", "b")


@pytest.fixture
def read(tmp_path):
    def call(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_rows(path, COLUMNS, **options)

    return call


@pytest.mark.parametrize("content", [
    "a,b\n1,2\n3,4\n", "b,a\n2,1\n4,3", "\ufeffa,b\r\n1,2\r\n\r\n3,4\r\n",
    " a , b \n\n1, 2\n,\n3 ,4\n", 'a,b\n"1","2"\n3,4\n', "a,b\r1,2\r3,4"])
def test_tables(read, content):
    rows = read(content)
    assert [row.cells for row in rows] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert rows[1].whole("b", 0, 4) == 4
    assert rows[1].number("b", 0, 4) == 4.0


def test_lines_are_those_of_an_editor(read):
    assert [row.line for row in read('a,b\n\n1,"2\n3"\n4,5\n')] == [4, 5]


def test_no_rows(read):
    assert read("a,b\n") == []


def test_columns_besides(read):
    assert read("a,c,b\n1,2,3\n", optional=("c",))[0].cells == {"a": "1", "c": "2", "b": "3"}
    assert read("a,x,b\n1,2,3\n", others=True)[0].cells["x"] == "2"


@pytest.mark.parametrize(("content", "message"), [
    ("", ": must have the columns a, b, not nothing"),
    ("\ufeff", ": must have the columns a, b, not nothing"),
    ("\n\n", ": must have the columns a, b, not nothing"),
    ("a\n1\n", ": must have the columns a, b, not a"),
    ("a,b,c\n1,2,3\n", ": must have the columns a, b, not a, b, c"),
    ("a,b,\n1,2,\n", ": must have the columns a, b, not a, b, "),
    ("a;b\n1;2\n", ": must have the columns a, b, not a;b"),
    ("a,b,a\n1,2,3\n", ": must have each column once, not 'a' twice"),
    ("a,b\n1,2\n1,2,3\n", ", line 3: must have 2 fields, as the head line has, not 3"),
    ("a,b\n1\n", ", line 2: must have 2 fields, as the head line has, not 1"),
    (b"a,b\n1,2\n\xff,1\n", ": must be UTF-8, but line 3 has the byte 0xff"),
    (b"\xff\xfea\0,\0b\0\n\0", ": must be UTF-8, not UTF-16, whose byte order mark it begins with"),
    ('a,b\n"1,2\n', ", line 2: not CSV: unexpected end of data"),
    ('a,b\n"1"x,2\n', ", line 2: not CSV: ',' expected after '\"'"),
    ("a,b\n" + "x" * 200_000 + ",1\n", ", line 2: not CSV: field larger than field limit (131072)"),
])
def test_no_tables(read, tmp_path, content, message):
    with pytest.raises(FileError) as error:
        read(content)
    assert str(error.value) == f"{tmp_path}/t.csv{message}"


def test_missing_file(tmp_path):
    with pytest.raises(FileError, match=r"none\.csv: cannot be read: No such file or directory$"):
        read_rows(tmp_path / "none.csv", COLUMNS)
    with pytest.raises(FileError, match=r": cannot be read: Is a directory$"):
        read_rows(tmp_path, COLUMNS)


@pytest.mark.parametrize(("text", "kind", "message"), [
    ("", "whole", "a must be a whole number, not ''"),
    ("1.0", "whole", "a must be a whole number, not '1.0'"),
    ("1_000", "whole", "a must be a whole number, not '1_000'"),
    ("\u0663", "whole", "a must be a whole number, not '\u0663'"),
    ("9" * 5000, "whole", f"a must be a whole number, not '{'9' * 59}"),
    ("1099511627776", "whole", "a must be 0 to 1,000, not '1099511627776'"),
    ("-1", "whole", "a must be 0 to 1,000, not '-1'"),
    ("x", "number", "a must be a number, not 'x'"),
    ("nan", "number", "a must be 0 to 1000, not 'nan'"),
    ("inf", "number", "a must be 0 to 1000, not 'inf'"),
])
def test_cells(read, tmp_path, text, kind, message):
    row, = read(f"a,b\n{text},1\n")
    with pytest.raises(FileError) as error:
        getattr(row, kind)("a", 0, 1000)
    assert str(error.value) == f"{tmp_path}/t.csv, line 2: {message}"
