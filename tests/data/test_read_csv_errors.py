"""Every fault of a CSV file becomes one line that says what, where and what to do."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from chainrule.data import delimited, read
from chainrule.data.read import read_table
from chainrule.errors import DataError

TOO_MANY = "quote values that hold a separator or take the line out"


def fault(path: Path, content: str | bytes | None = None, **options: object) -> str:
    """The message without the folder."""
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_table(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.replace(str(path.parent) + "/", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n1,2\n3\n",
            "line 3: 1 value where the header names 2 columns; add the missing values or take the line out",
        ),
        (
            "a,b\n1,2\n\n3,4,5\n",
            "line 4: 3 values where the header names 2 columns; " + TOO_MANY,
        ),
        (
            "a,b\n1,2\n3,4,\n",
            "line 3: 3 values where the header names 2 columns; " + TOO_MANY,
        ),
        (
            'a,b\n"x\ny",2\n"3,\n3",4,\n',
            "line 4: 3 values where the header names 2 columns; " + TOO_MANY,
        ),
        (
            "a,b\n1,2\n  \n",
            "line 3: 1 value where the header names 2 columns; add the missing values or take the line out",
        ),
        (
            "a\n1\n2,3\n",
            "line 3: 2 values where the header names 1 column; " + TOO_MANY,
        ),
        ('a,b\n1,2\n"x,3\n4,5\n', 'line 3: a quote (") is opened and never closed; close it'),
        (
            'a,b\n1,2\n"x"y,3\n4,5\n',
            'line 3: a quoted value goes on after its closing quote; write a quote within quotes twice ("")',
        ),
        ("a,b\n", "holds column names and no rows; add rows below the names"),
        ("a\n", "holds column names and no rows; add rows below the names"),
        ("a,b", "holds column names and no rows; add rows below the names"),
        ("", "is empty"),
        ("\n\n", "is empty; its first line should name the columns"),
        (" , \n1,2\n", "is empty; its first line should name the columns"),
        (
            "a,b,a\n1,2,3\n",
            'line 1: this name stands over more than one column: "a"; give each column a name of its own',
        ),
        (
            'a,"b\n",a,b\n1,2,3,4\n',
            'line 1: these names stand over more than one column: "a", "b"; give each column a name of its own',
        ),
        (
            b"a,b\n1,2\nM\xfcller,4\n",
            "line 3: byte 0xfc at offset 9 is not UTF-8 text; save it as UTF-8",
        ),
        (b"a,\xff\n1,2\n", "line 1: byte 0xff at offset 2 is not UTF-8 text; save it as UTF-8"),
        (b"a,b\n1,\xc3", "line 2: byte 0xc3 at offset 6 is not UTF-8 text; save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16 text, not UTF-8; save it as UTF-8"),
    ],
)
def test_the_line_at_fault_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert fault(tmp_path / "data.csv", text) == f"data.csv: {message}"


def test_the_line_at_fault_is_named_in_a_packed_file(tmp_path: Path) -> None:
    message = fault(tmp_path / "data.csv.gz", gzip.compress(b"a,b\n1,2\n3\n"))
    assert message.startswith("data.csv.gz: line 3: 1 value where the header names 2 columns")


def test_the_line_at_fault_is_found_far_down(tmp_path: Path) -> None:
    rows = [f'{i},"x,{i}\n"' for i in range(50_000)]
    rows[40_000] += ","
    message = fault(tmp_path / "data.csv", "a,b\n" + "\n".join(rows))
    assert message.startswith("data.csv: line 80,002: 3 values")


CUT_OFF = gzip.compress(b"a,b\n" + b"1,2\n" * 999)[:-9]


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", CUT_OFF, b"\x1f\x8b\x08"], ids=["plain", "cut off", "head only"])
def test_a_damaged_gzip_file(tmp_path: Path, content: bytes) -> None:
    message = fault(tmp_path / "data.csv.gz", content)
    assert message.startswith("data.csv.gz: is not a whole gzip file (")
    assert message.endswith("); make or fetch it again")


def test_no_such_file(tmp_path: Path) -> None:
    assert fault(tmp_path / "data.csv") == "data.csv: there is no such file; check the name and the folder"


def test_an_address_is_no_file() -> None:
    with pytest.raises(DataError, match=r"^https://example\.org/x\.csv: there is no such file"):
        read_table("https://example.org/x.csv")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data.csv").mkdir()
    assert fault(tmp_path / "data.csv") == "data.csv: is a folder; give the name of a file in it"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.csv")
    said = "data.csv: is a pipe or a device; save the table as a file, and give its name"
    assert fault(tmp_path / "data.csv") == said


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(DataError, match=r"x/data\.csv: cannot be read: Not a directory$"):
        read_table(tmp_path / "x" / "data.csv")


@pytest.mark.parametrize("name", ["data.xlsx", "data", "data.gz", "data.parquet.gz", ".csv"])
def test_an_unknown_ending(tmp_path: Path, name: str) -> None:
    assert fault(tmp_path / name, "a,b\n1,2\n") == (
        f"{name}: unknown kind of file; its name should end in one of "
        ".csv, .csv.gz, .json, .jsonl, .ndjson, .parquet, .tsv, .tsv.gz"
    )


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    (tmp_path / "data.csv").touch()
    assert fault(tmp_path / "data.csv") == "data.csv: may not be read; ask for permission to read it"


def test_a_disk_that_fails_while_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(read, "read_delimited", fail)
    assert fault(tmp_path / "data.csv", "a,b\n1,2\n") == "data.csv: cannot be read: Input/output error"


def test_what_the_engine_refuses_without_a_fault_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_LONGEST_LINE", 10)
    assert fault(tmp_path / "data.csv", f"a,b\n1,{'x' * 5000}\n").startswith("data.csv: cannot be read: ")


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", " ", "é"])
def test_a_delimiter_is_one_plain_character(tmp_path: Path, delimiter: str) -> None:
    message = fault(tmp_path / "data.csv", "a,b\n1,2\n", delimiter=delimiter)
    assert message == f"delimiter {delimiter!r}: must be one plain character, such as a comma"


def test_a_value_that_is_not_of_the_wanted_kind(tmp_path: Path) -> None:
    message = fault(tmp_path / "data.csv", "a,b\n1,2\nold,3\n", kinds={"a": "number"})
    assert message == (
        'data.csv: row 2, column "a": "old" is not a number, as this column should hold; '
        "correct the value or leave it empty"
    )


def test_a_path_that_would_break_the_line(tmp_path: Path) -> None:
    assert fault(tmp_path / "a\nb.csv") == "a\\nb.csv: there is no such file; check the name and the folder"
