"""CSV and TSV: what is read is what the file says, whatever it holds."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chainrule.data.read import read_table
from chainrule.data.sniff import MISSING
from chainrule.data.table import Table


def read(folder: Path, content: str | bytes, name: str = "data.csv", **options: object) -> Table:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_table(path, **options)  # type: ignore[arg-type]


def lists(table: Table) -> dict[str, list[object]]:
    """Values as Python lists, None where missing."""
    return {
        name: [None if gone else value for value, gone in zip(v.values.tolist(), v.missing.tolist(), strict=True)]
        for name, v in table.columns.items()
    }


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2", "-3"], "integer", [1, 2, -3]),
        (["1", "", "+3"], "integer", [1, None, 3]),
        (["1.0", "2.0", ""], "number", [1.0, 2.0, None]),
        (["1e-1", ".5", "-2.5E3"], "number", [0.1, 0.5, -2500.0]),
        (["1", "1e-1", "3"], "number", [1.0, 0.1, 3.0]),
        (["inf", "-Infinity", "1"], "number", [np.inf, -np.inf, 1.0]),
        (["9007199254740993", "1", "99999999999999999999"], "number", [9007199254740992.0, 1.0, 1e20]),
        ([" 1 ", " ? ", "3"], "integer", [1, None, 3]),
        (["1_000", "2", "3"], "category", ["1_000", "2", "3"]),
        (["0x1F", "2", "3"], "category", ["0x1F", "2", "3"]),
        (["1,5", "2", "3"], "category", ["1,5", "2", "3"]),
        (["true", "FALSE", "?"], "boolean", [True, False, None]),
        (["true", "1", "0"], "category", ["true", "1", "0"]),
        (["yes", "no", "NA"], "category", ["yes", "no", None]),
        (["a", " b", "None"], "category", ["a", "b", None]),
        (["", "nan", "null"], "category", [None, None, None]),
        (["2024-01-31", "2024/2/3", ""], "date", ["2024-01-31", "2024-02-03", None]),
        (["31.12.2024", "1.2.1999", "NA"], "date", ["2024-12-31", "1999-02-01", None]),
        (["2024-02-30", "2024-01-01", "2024-01-02"], "category", ["2024-02-30", "2024-01-01", "2024-01-02"]),
        (["1-2-3", "4-5-6", "7-8-9"], "category", ["1-2-3", "4-5-6", "7-8-9"]),
        (["epoch", "infinity", "today"], "category", ["epoch", "infinity", "today"]),
        (
            ["2024-01-31 10:30", "2024-01-31T10:30:15.25", "2024-01-31"],
            "timestamp",
            ["2024-01-31T10:30:00.000000", "2024-01-31T10:30:15.250000", "2024-01-31T00:00:00.000000"],
        ),
        (
            ["2024-01-31 10:30:00Z", "2024-01-31 10:30:00+02:00", "N/A"],
            "timestamp",
            ["2024-01-31T10:30:00.000000", "2024-01-31T10:30:00.000000", None],
        ),
    ],
)
def test_the_kind_of_a_column_fits_all_its_values(
    tmp_path: Path, cells: list[str], kind: str, values: list[object]
) -> None:
    column = read(tmp_path, "x,y\n" + "".join(f'"{cell}",0\n' for cell in cells))["x"]
    assert column.kind == kind
    shown = np.datetime_as_string(column.values) if kind in ("date", "timestamp") else column.values
    assert [None if gone else v for v, gone in zip(shown.tolist(), column.missing.tolist(), strict=True)] == values


def test_whole_numbers_beyond_float64_are_not_integers(tmp_path: Path) -> None:
    assert read(tmp_path, "x,y\n9007199254740994,1\n")["x"].kind == "number"


@pytest.mark.parametrize("marker", MISSING)
def test_every_marker_of_a_missing_value_is_missing(tmp_path: Path, marker: str) -> None:
    table = read(tmp_path, f"n,t\n1,a\n{marker},{marker}\n")
    assert lists(table) == {"n": [1, None], "t": ["a", None]}


def test_markers_can_be_chosen(tmp_path: Path) -> None:
    table = read(tmp_path, "n,t\n1,NA\n-9,x\n", missing=["-9"])
    assert lists(table) == {"n": [1, None], "t": ["NA", "x"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_separator_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    text = f'"a,;|\tb"{delimiter}c{delimiter}d\n"x,;|\ty"{delimiter}1{delimiter}2\n'
    assert lists(read(tmp_path, text)) == {"a,;|\tb": ["x,;|\ty"], "c": [1], "d": [2]}


def test_the_separator_can_be_told(tmp_path: Path) -> None:
    assert lists(read(tmp_path, "a:b\n1:2\n", delimiter=":")) == {"a": [1], "b": [2]}


def test_tsv_is_separated_by_tabs(tmp_path: Path) -> None:
    assert lists(read(tmp_path, "a,b,c\td\nx,y\t1\n", "data.TSV")) == {"a,b,c": ["x,y"], "d": [1]}
    assert lists(read(tmp_path, "a,b,c\td\nx,y\t1\n", "data.tsv.gz")) == {"a,b,c": ["x,y"], "d": [1]}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\n1,x\n2,y",
        "a,b\r\n1,x\r\n2,y\r\n",
        "a,b\r1,x\r2,y\r",
        "a,b\r\n1,x\n2,y\r",
        "\ufeffa,b\n1,x\n2,y\n",
        '\ufeff"a","b"\n"1","x"\n"2","y"\n',
        "\n\na,b\n1,x\n2,y\n",
        "a,b\n1,x\n\n\n2,y\n\n",
        " a , b \n 1 , x \n2, y\n",
        'a,b\n1, "x"\n2,"y" \n'.replace('" \n', '"\n'),
    ],
)
@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz"])
def test_line_ends_marks_and_blanks_do_not_matter(tmp_path: Path, text: str, name: str) -> None:
    assert lists(read(tmp_path, text, name)) == {"a": [1, 2], "b": ["x", "y"]}


def test_one_column_has_a_row_a_line(tmp_path: Path) -> None:
    assert lists(read(tmp_path, 'a\n1\n\n""\n3\n\n')) == {"a": [1, None, 3]}


def test_columns_without_a_name_are_called_by_position(tmp_path: Path) -> None:
    assert read(tmp_path, ",a,\n0,1,2\n").names == ("Unnamed: 0", "a", "Unnamed: 2")


def test_names_may_hold_anything_and_differ_in_case_only(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,A,"two\nlines","it\'s ""q""","x,y",größe 日本\n1,2,3,4,5,6\n')
    assert table.names == ("a", "A", "two\nlines", 'it\'s "q"', "x,y", "größe 日本")
    assert [column[0] for column in lists(table).values()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", ["data[1].csv", "da'ta.csv", 'da"ta*?.csv', "größe {a,b}.csv", "~x.csv", "a=1.csv"])
def test_paths_are_read_as_they_stand(tmp_path: Path, name: str) -> None:
    (tmp_path / "data1.csv").write_text("wrong,file\n7,8\n")
    assert lists(read(tmp_path, "a,b\n1,2\n", name)) == {"a": [1], "b": [2]}


def test_folders_of_a_hive_layout_add_no_column(tmp_path: Path) -> None:
    (tmp_path / "year=2024").mkdir()
    assert read(tmp_path / "year=2024", "a,b\n1,2\n").names == ("a", "b")


def test_a_relative_path_is_shown_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert read_table("x.csv").source == "x.csv"


def test_long_values_are_read(tmp_path: Path) -> None:
    long = "x" * 3_000_000
    assert lists(read(tmp_path, f"a,b\n1,{long}\n")) == {"a": [1], "b": [long]}
    assert lists(read(tmp_path, f"\na,b\n1,{long}\n")) == {"a": [1], "b": [long]}


def test_reading_leaves_the_limit_of_the_csv_module_alone(tmp_path: Path) -> None:
    usual = csv.field_size_limit()
    read(tmp_path, "a,b\n1,2\n")
    assert csv.field_size_limit() == usual


def test_wanted_kinds_are_kept_to(tmp_path: Path) -> None:
    text = "zip,age,day,old\n01234,7,2024-01-31,1\n55555,8,2024-02-01,0\n"
    table = read(
        tmp_path, text, kinds={"zip": "category", "age": "number", "day": "timestamp", "old": "boolean", "gone": "date"}
    )
    assert [values.kind for values in table.columns.values()] == ["category", "integer", "timestamp", "boolean"]
    assert table["zip"].values.tolist() == ["01234", "55555"]
    assert table["old"].values.tolist() == [True, False]


def test_dates_whose_order_is_unknown_stay_text_with_a_notice(tmp_path: Path) -> None:
    table = read(tmp_path, "day,n\n3/4/2024,1\n?,2\n")
    assert table["day"].kind == "category"
    assert table.notices == (
        'column "day": day and month of "3/4/2024" cannot be told apart; read as text, not as a date; '
        "write dates as YYYY-MM-DD",
    )


def test_numbers_with_commas_stay_text_with_a_notice(tmp_path: Path) -> None:
    table = read(tmp_path, 'price;weight;tags;n\n7;"1,234";a,1;1\n-0,5;"1,234,567.5";2;2\n1.000,5;;3;3\n')
    assert [values.kind for values in table.columns.values()] == ["category", "category", "category", "integer"]
    said = "has a comma; read as text, not as a number; write numbers as in 1234.5"
    assert table.notices == (f'column "price": "-0,5" {said}', f'column "weight": "1,234" {said}')


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=60)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8), st.tuples(TEXT, TEXT), st.sampled_from(["\n", "\r\n"]))
@example([('"', ",\n\r"), ("\r", "''")], ("a\nb", '"'), "\n")
@example([("\x00", "\ufeff"), ("1,", "\u2028")], ("\ufeff", "x"), "\n")
def test_any_text_survives_a_csv_file(rows: list[tuple[str, str]], names: tuple[str, str], end: str) -> None:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerows([("number", *names), *((i, *row) for i, row in enumerate(rows))])
    wanted = [name.strip() or f"Unnamed: {i + 1}" for i, name in enumerate(names)]
    if len({*wanted, "number"}) < 3:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(file.getvalue().encode())
        table = read_table(path, kinds=dict.fromkeys(wanted, "category"))
    assert table.names == ("number", *wanted)
    assert table["number"].values.tolist() == list(range(len(rows)))
    for i, name in enumerate(wanted):
        stripped = [row[i].strip(" ") for row in rows]
        assert lists(table)[name] == [None if text in MISSING else text for text in stripped]
