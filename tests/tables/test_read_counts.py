"""read_counts: counts and names of every format; errors that name the line of a bad cell."""

import csv

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.tables import read_counts

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

WIDE = "group,white,black\nfirst,3,1\nsecond,0,4\n"
LONG = "group,category,count\nfirst,white,3\nsecond,black,4\nfirst,black,1\n"
FREQUENCY = "white,black,weight\n3,1,10\n0,4,7\n"


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="counts.csv"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return to_file


def same(table, *, groups=("first", "second"), weights=None):
    assert table.counts.dtype == np.int64
    np.testing.assert_array_equal(table.counts, [[3, 1], [0, 4]])
    assert table.category_names == ("white", "black")
    assert table.group_names == groups
    assert (table.weights is None) if weights is None else (table.weights.tolist() == weights)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["counts.csv", "counts.tsv", "counts.txt"])
def test_wide_text(write, separator, name):
    same(read_counts(write(WIDE.replace(",", separator), name)))


def test_windows_files(write):
    same(read_counts(write("\ufeff" + WIDE.replace("\n", "\r\n") + "\r\n\r\n")))


def test_quoted_names_and_spaces(write):
    table = read_counts(write('"group","white, pale"," black "\n"a ""b""", 3 ,1\n'))
    assert table.category_names == ("white, pale", "black")
    assert table.group_names == ('a "b"',)
    np.testing.assert_array_equal(table.counts, [[3, 1]])


def test_names_of_groups_by_text_or_by_header(write):
    assert read_counts(write("bags,white,black\nx,3,1\n")).group_names == ("x",)
    assert read_counts(write("id,white,black\n7,3,1\n")).group_names == ("7",)
    assert read_counts(write(",white,black\n7,3,1\n")).group_names == ("7",)
    assert read_counts(write("grey,white,black\n7,3,1\n")).group_names is None


def test_no_header(write):
    table = read_counts(write("3,1\n0,4\n"))
    assert (table.category_names, table.group_names) == (None, None)
    np.testing.assert_array_equal(table.counts, [[3, 1], [0, 4]])


def test_long_form(write):
    same(read_counts(write(LONG)))
    same(read_counts(write("category,count,group\nwhite,3,first\nblack,4,second\nblack,1,first\n")))


def test_long_form_with_other_columns(write):
    same(
        read_counts(
            write("day,group,category,count\n1,first,white,3\n1,second,black,4\n2,first,black,1\n"), layout="long"
        )
    )


def test_frequency_table(write):
    same(read_counts(write(FREQUENCY)), groups=None, weights=[10, 7])
    same(read_counts(write("white,black,families\n3,1,10\n0,4,7\n"), layout="frequency"), groups=None, weights=[10, 7])


@pytest.mark.parametrize("text", [WIDE, LONG, FREQUENCY])
def test_parquet_as_text(write, tmp_path, text):
    rows = list(csv.reader(text.splitlines()))
    columns = {
        name: [int(v) if v.isdigit() else v for v in column]
        for name, column in zip(rows[0], zip(*rows[1:], strict=True), strict=True)
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "counts.parquet")
    expected, found = read_counts(write(text)), read_counts(tmp_path / "counts.parquet")
    np.testing.assert_array_equal(found.counts, expected.counts)
    assert found.category_names == expected.category_names
    assert found.group_names == expected.group_names
    assert (found.weights is None) == (expected.weights is None)


def test_npz_and_npy(tmp_path):
    counts = np.array([[3, 1], [0, 4]], dtype=np.uint16)
    np.savez(tmp_path / "c.npz", counts=counts, category_names=["white", "black"], group_names=["first", "second"])
    same(read_counts(tmp_path / "c.npz"))
    np.savez(tmp_path / "w.npz", counts=counts, category_names=["white", "black"], weights=[10, 7])
    same(read_counts(tmp_path / "w.npz"), groups=None, weights=[10, 7])
    np.save(tmp_path / "c.npy", counts)
    np.testing.assert_array_equal(read_counts(tmp_path / "c.npy").counts, counts)


@pytest.mark.parametrize("name", ["load_pollen", "load_twins", "load_saxony_families"])
def test_real_tables_survive_a_round_trip(tmp_path, name):
    data = getattr(hbm.datasets, name)()
    file = tmp_path / "table.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        extra = [] if data.weights is None else ["weight"]
        writer.writerow(["group", *data.category_names, *extra])
        for n, row in enumerate(data.counts.tolist()):
            writer.writerow([data.group_names[n], *row, *([] if data.weights is None else [data.weights[n]])])
    table = read_counts(file)
    np.testing.assert_array_equal(table.counts, data.counts)
    assert table.category_names == data.category_names
    assert table.group_names == data.group_names
    assert (table.weights is None) == (data.weights is None)


@pytest.mark.parametrize(
    ("text", "layout", "message"),
    [
        (WIDE.replace("4", "4.5"), "auto", r"line 3, column 'black': counts must be whole numbers; got '4.5'"),
        (WIDE.replace("4", "inf"), "auto", r"line 3, column 'black': counts must be whole numbers; got 'inf'"),
        (WIDE.replace("4", "9007199254740993.0"), "auto", r"line 3, column 'black'.*beyond 2\*\*53"),
        (WIDE.replace("4", "3.00000000000000000001"), "auto", r"line 3, column 'black': counts must be whole numbers"),
        (WIDE.replace("4", "NA"), "auto", r"line 3, column 'black': missing; write 0"),
        (WIDE.replace("4", "-4"), "auto", r"line 3, column 'black': counts must not be negative; got -4"),
        (WIDE.replace(",4", ","), "auto", r"line 3, column 'black': missing; write 0"),
        (WIDE.replace(",4", ",99999999999999999999"), "auto", "beyond 64 bits"),
        (WIDE.replace(",4", ""), "auto", r"line 3: 2 fields where the first line has 3"),
        (WIDE.replace("second", "first"), "auto", r"line 3, column 'group': the name 'first' stands on line 2"),
        (WIDE.replace("white", "black"), "auto", "two columns are named 'black'"),
        ("white,black\nx,1\n2,3\n4,5\n", "auto", r"line 2, column 'white': counts must be whole numbers; got 'x'"),
        ("group,white\na,1\n", "auto", r"counts\.csv: a table needs two categories"),
        ("", "auto", "empty"),
        ("group,white,black\n", "auto", "no rows"),
        ("0,1,2\n3,4,5\n", "auto", "give the columns names"),
        ("a,1,2\nb,4,5\n", "auto", "without a header"),
        (LONG + "first,white,2\n", "auto", r"line 5.*group 'first' has category 'white' twice"),
        (WIDE, "long", "missing category, count"),
        ("group,category,count\na,x,1\nb,x,2\n", "auto", "two categories"),
        (FREQUENCY.replace("10", "a"), "auto", "line 2, column 'weight'"),
        (FREQUENCY.replace("black", "freq"), "auto", "more than one column of weights"),
        (WIDE, "tall", "layout must be"),
        ('group,white,black\n"a,3,1\n' + "x" * 200_000, "auto", "not a readable text table"),
        # what an earlier version accepted
        (WIDE.replace("4", "1_000"), "auto", r"counts\.csv, line 3, column 'black'.*got '1_000'"),
        (WIDE.replace("4", "٤"), "auto", r"counts\.csv, line 3, column 'black'.*got '٤'"),
        (WIDE.replace("4", "9007199254740993"), "auto", r"counts\.csv, line 3, column 'black'.*beyond 2\*\*53"),
        (WIDE.replace("4", "9" * 5000), "auto", r"line 3, column 'black': the count 9{40}\.\.\. is beyond 64 bits"),
        (FREQUENCY.replace("10", "9000000000000000000"), "auto", r"line 2, column 'weight'.*beyond 2\*\*53"),
        (WIDE.replace("white", " black"), "auto", r"counts\.csv: two columns are named 'black'"),
        (WIDE.replace("second", " first "), "auto", "the name 'first' stands on line 2"),
        (LONG.replace("group,", "Group,group,"), "long", r"counts\.csv"),
    ],
)
def test_mistakes_are_named_with_their_line(write, text, layout, message):
    with pytest.raises(ValueError, match=message):
        read_counts(write(text), layout=layout)


def test_line_numbers_count_every_line_of_the_file(write):
    text = 'group,white,black\n"two\nlines",1,2\n\nsecond,3,x\n'
    with pytest.raises(ValueError, match="line 5, column 'black'"):
        read_counts(write(text))


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match=r"the ending must be"):
        read_counts(tmp_path / "counts.xlsx")
    with pytest.raises(FileNotFoundError):
        read_counts(tmp_path / "absent.csv")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    (tmp_path / "bad.csv").write_bytes(b"white,black\n\xff\xfe,1\n")
    for name in ("bad.npz", "bad.parquet", "bad.csv"):
        with pytest.raises(ValueError, match=name):
            read_counts(tmp_path / name)
    np.savez(tmp_path / "other.npz", table=[[1, 2]])
    with pytest.raises(ValueError, match="no array named 'counts'; found table"):
        read_counts(tmp_path / "other.npz")
    np.savez(tmp_path / "float.npz", counts=[[1.0, 2.5]])
    with pytest.raises(ValueError, match=r"float.npz: counts must be whole numbers; got 2.5 at row 0, column 1"):
        read_counts(tmp_path / "float.npz")
    parquet.write_table(pyarrow.table({"white": [1, None], "black": [2, 3]}), tmp_path / "null.parquet")
    with pytest.raises(ValueError, match="row 2, column 'white': missing"):
        read_counts(tmp_path / "null.parquet")
    parquet.write_table(pyarrow.table({"white": [1.0, 2.5], "black": [2, 3]}), tmp_path / "float.parquet")
    with pytest.raises(ValueError, match=r"row 2, column 'white': counts must be whole numbers; got '2\.5'"):
        read_counts(tmp_path / "float.parquet")


def test_names_are_compared_in_linear_time(write):
    # a quadratic comparison took minutes
    names = [f"c{k}" for k in range(60_000)]
    table = read_counts(write(",".join(names) + "\n" + ",".join(["1"] * len(names)) + "\n"))
    assert table.category_names == tuple(names)
    with pytest.raises(ValueError, match="two columns are named 'c1'"):
        read_counts(write(",".join([*names, "c1"]) + "\n" + ",".join(["1"] * (len(names) + 1)) + "\n"))


def test_the_size_of_a_long_table_is_checked_first(write):
    rows = "\n".join(f"g{i},c{i},1" for i in range(20_000))
    with pytest.raises(ValueError, match=r"counts\.csv: 20000 rows name 20000 groups and 20000 categories.*3\.0 GiB"):
        read_counts(write("group,category,count\n" + rows))


def test_columns_of_other_types_are_named(tmp_path):
    decimal = pytest.importorskip("decimal")
    for name, column in {
        "text": pyarrow.array(["3", "4"]),
        "decimal": pyarrow.array([decimal.Decimal(3), decimal.Decimal(4)]),
        "bool": pyarrow.array([True, False]),
        "list": pyarrow.array([[1], [2]]),
        "large": pyarrow.array([2**63 + 1, 2], pyarrow.uint64()),
    }.items():
        file = tmp_path / f"{name}.parquet"
        parquet.write_table(pyarrow.table({"white": [1, 2], "black": column}), file)
        with pytest.raises(ValueError, match=rf"{name}\.parquet, .*column 'black': \S+"):
            read_counts(file)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"counts": np.array([[2**64 - 1, 2]], "u8")}, r"at most 2\*\*53; got 18446744073709551615 at index \(0, 0\)"),
        ({"counts": [[1, 2], [2**53 + 1, 2]]}, r"at most 2\*\*53; got 9007199254740993 at index \(1, 0\)"),
        ({"counts": [[1, 2]] * 2, "weights": [1, 2, 3]}, r"weights must have shape \(2,\)"),
        ({"counts": [[1, 2]] * 2, "weights": [[1, 2], [3, 4]]}, r"weights must have shape \(2,\)"),
        ({"counts": [[1, 2]] * 2, "weights": [1, -2]}, "weights"),
        ({"counts": [[1], [2]]}, "two categories"),
        ({"counts": np.zeros((0, 3), int)}, "no rows"),
        ({"counts": [[1, 2]], "category_names": ["a", "a "]}, "category_names holds twice 'a'"),
        ({"counts": [[1, 2]] * 2, "group_names": ["a", "a"]}, "group_names holds twice 'a'"),
        ({"counts": [[1, 2]], "group_names": ["a", "b"]}, r"group_names must have shape \(1,\)"),
    ],
)
def test_npz_follows_the_rules_of_text(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=rf"bad\.npz: .*{message}"):
        read_counts(tmp_path / "bad.npz")


def test_big_endian_arrays_and_names_as_bytes(tmp_path):
    np.savez(
        tmp_path / "c.npz", counts=np.array([[3, 1], [0, 4]], ">i4"), category_names=np.array([b"white", b"black"])
    )
    same(read_counts(tmp_path / "c.npz"), groups=None)
