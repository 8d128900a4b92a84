"""read_counts: tables as QIIME, BIOM, pandas, R and scanpy write them; their orientation, labels and comments."""

import csv
import gzip
import io
import itertools
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.tables import biom, child, h5ad, read_counts, read_labels

TWINS = hbm.datasets.load_twins()


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="counts.tsv"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return to_file


def twins_of_qiime():
    """130 rows of genera, with a taxonomy, and 278 columns of samples."""
    lines = ["# Constructed from biom file", "\t".join(["#OTU ID", *TWINS.group_names, "taxonomy"])]
    for name, row in zip(TWINS.category_names, TWINS.counts.T.tolist(), strict=True):
        lines.append("\t".join([name, *(f"{x:.1f}" for x in row), f"k__Bacteria; p__Firmicutes; g__{name}"]))
    return "\n".join(lines) + "\n"


def same_as_twins(table):
    np.testing.assert_array_equal(table.counts, TWINS.counts)
    assert table.counts.dtype == np.int64
    assert (table.category_names, table.group_names) == (TWINS.category_names, TWINS.group_names)


def test_twins_of_qiime_and_their_metadata(write, tmp_path):
    table = read_counts(write(twins_of_qiime()))
    same_as_twins(table)
    assert table.transposed
    assert "transposed" in repr(table)
    rows = zip(TWINS.group_names[::-1], TWINS.labels[::-1], strict=True)
    lines = [f"{name}\t3\t{label}" for name, label in rows]
    metadata = "\n".join(["#SampleID\tage\tpheno", "#q2:types\tnumeric\tcategorical", *lines, "other\t1\tLean"])
    assert read_labels(write(metadata, "metadata.tsv"), "pheno", table.group_names) == TWINS.labels
    with gzip.open(tmp_path / "twins.tsv.gz", "wt") as stream:
        stream.write(twins_of_qiime())
    same_as_twins(read_counts(tmp_path / "twins.tsv.gz"))


def test_standard_input(monkeypatch):
    for stream in (io.TextIOWrapper(io.BytesIO(twins_of_qiime().encode())), io.StringIO(twins_of_qiime())):
        monkeypatch.setattr(sys, "stdin", stream)
        same_as_twins(read_counts("-"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("bag,white,black\nx,1,y\nz,3,4\n"))
    with pytest.raises(ValueError, match="standard input, line 2, column 'black'"):
        read_counts("-")


def twins_frame():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(TWINS.counts, index=list(TWINS.group_names), columns=list(TWINS.category_names))


def test_orientation_that_cannot_be_known(tmp_path):
    file = tmp_path / "twins.csv"
    twins_frame().T.to_csv(file)
    with pytest.warns(UserWarning, match="130 rows are read as groups and 278 columns as categories. Pass transpose="):
        table = read_counts(file)
    assert table.group_names == TWINS.category_names
    assert not table.transposed
    same_as_twins(read_counts(file, transpose=True))
    assert read_counts(file, transpose=False).group_names == TWINS.category_names
    twins_frame().to_csv(file)  # more rows than columns
    same_as_twins(read_counts(file))
    twins_frame().rename_axis("sample").iloc[:40].to_csv(file)  # headed as groups
    assert read_counts(file).counts.shape == (40, 130)


HEADERS = [
    "#OTU ID",
    "OTU_ID",
    "otu",
    "taxon",
    "Taxa",
    "taxonomy",
    "feature",
    "feature-id",
    "Feature ID",
    "ASV",
    "asv id",
]
HEADERS += ["gene", "gene_id", "GeneID", "category", "transcripts", "zOTU"]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_categories(write, header):
    table = read_counts(write(f"{header}\tS1\tS2\nx\t3\t0\ny\t1\t4\n"))
    assert (table.category_names, table.group_names, table.transposed) == (("x", "y"), ("S1", "S2"), True)
    assert table.counts.tolist() == [[3, 1], [0, 4]]
    table = read_counts(write(f"{header}\tS1\tS2\nx\t3\t0\ny\t1\t4\n"), transpose=False)
    assert (table.category_names, table.group_names, table.transposed) == (("S1", "S2"), ("x", "y"), False)


@pytest.mark.parametrize("header", ["sample", "#SampleID", "sample-id", "group", "subject", "bag", "name", "", "town"])
def test_headers_of_groups(write, header):
    table = read_counts(write(f'"{header}"\tS1\tS2\nx\t3\t0\ny\t1\t4\n'))
    assert (table.category_names, table.group_names, table.transposed) == (("S1", "S2"), ("x", "y"), False)


def test_names_of_categories_show_the_orientation(write):
    assert read_counts(write("\tS1\tS2\nASV1\t3\t0\nASV2\t1\t4\n")).transposed
    assert read_counts(write("\tS1\tS2\tlineage\nx\t3\t0\tk__A\ny\t1\t4\tk__B\n")).transposed
    assert not read_counts(write("\tASV1\tASV2\nS1\t3\t0\nS2\t1\t4\n")).transposed
    with pytest.raises(ValueError, match=r"column 'taxonomy': counts must be whole numbers.*drop="):
        read_counts(write("sample\ttaxonomy\tASV1\tASV2\nS1\tx\t3\t0\n"))


@pytest.mark.parametrize(
    ("text", "groups", "categories"),
    [
        ("# a table\n# of, bags\nbag,white,black\nx,3,1\n# between\ny,0,4\n#\n", ("x", "y"), ("white", "black")),
        ("#bag,white,black\nx,3,1\ny,0,4\n", ("x", "y"), ("white", "black")),
        ("#NAME,white,black\nx,3,1\ny,0,4\n", ("x", "y"), ("white", "black")),
        ("#sampleid,white,black\n12,3,1\n13,0,4\n", ("12", "13"), ("white", "black")),
        ("# white, black\n3,1\n0,4\n", None, None),
        ('"#bag",white,black\n"#x",3,1\n"y\n#z",0,4\n', ("#x", "y\n#z"), ("white", "black")),
        ("white\tblack\nx\t3\t1\ny\t0\t4\n", ("x", "y"), ("white", "black")),  # as R's write.table
        ("bag,white,black\nx,3.0,1e0\ny,0e5,+4\n", ("x", "y"), ("white", "black")),
    ],
)
def test_comments_and_notations(write, text, groups, categories):
    table = read_counts(write(text))
    assert (table.group_names, table.category_names) == (groups, categories)
    assert table.counts.tolist() == [[3, 1], [0, 4]]


def test_a_comment_that_may_be_a_row(write):
    with pytest.raises(ValueError, match=r"counts\.tsv: '#y,0,4' may be a comment or a row; quote"):
        read_counts(write("bag,white,black\nx,3,1\n#y,0,4\n"))


def test_labels_and_columns_to_leave_out(write):
    file = write("sample,pheno,age,white,black\nx,lean,30,3,1\ny,obese,41,0,4\n")
    with pytest.raises(ValueError, match=r"column 'pheno'.*got 'lean'.*drop=\['pheno'\].*labels='pheno'"):
        read_counts(file)
    table = read_counts(file, labels="pheno", drop=["age"])
    assert (table.labels, table.category_names, table.counts.tolist()) == (
        ("lean", "obese"),
        ("white", "black"),
        [[3, 1], [0, 4]],
    )
    assert read_counts(file, drop=["age", "pheno"]).labels is None
    assert {name: part.counts.tolist() for name, part in table.by_label().items()} == {
        "lean": [[3, 1]],
        "obese": [[0, 4]],
    }
    for options, message in (
        ({"drop": ["height"]}, "drop must name columns; got 'height', and there are 'sample', 'pheno'"),
        ({"labels": "height"}, "labels must name columns; got 'height'"),
        ({"labels": "pheno", "drop": ["age"], "transpose": True}, "labels are of groups: use read_labels"),
    ):
        with pytest.raises(ValueError, match=message):
            read_counts(file, **options)
    with pytest.raises(TypeError, match=r"drop must be a sequence of names, as in drop=\['age'\]"):
        read_counts(file, drop="age")
    for options in ({"transpose": "yes"}, {"transpose": None}):
        with pytest.raises(ValueError, match="transpose must be 'auto', True or False"):
            read_counts(file, **options)
    with pytest.raises(ValueError, match=r"layer is for \.h5ad"):
        read_counts(file, layer="counts")
    with pytest.raises(ValueError, match="weights and labels are of groups"):
        read_counts(write("white,black,weight\n3,1,10\n0,4,7\n"), transpose=True)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("sample,c,a,b\nx,,3,1\ny,z,0,4\n", {"labels": "c"}, "line 2, column 'c': missing; each row needs a label"),
        ("sample,taxon,n,c\nx,a,3,z\nx,b,1,\n", {"labels": "c"}, "line 3, column 'c': missing; .* a label"),
        ("sample,a,b\nx,3,1\n,0,4\n", {}, "line 3, column 'sample': missing; each row needs a name"),
        ("sample,taxon,n\nx,a,3\nx,,1\n", {}, "line 3, column 'taxon': missing; each row needs a category"),
        ("a,b,c\n1,2,3\n", {"drop": ["c", "c"]}, "drop names column 'c' a second time"),
        ("a,b,c\n1,2,3\n", {"drop": ["c"], "labels": "c"}, "labels and drop both name column 'c'"),
        ("a,b,c\n1,2,3\n", {"drop": ["d"]}, "drop must name columns; got 'd', and there are 'a', 'b', 'c'"),
        ("sample white black\nx 3 1\n", {}, "line 1: 'sample white black' has no comma, semicolon or tab"),
        (
            "#OTU ID\tS1\tS2\ttaxonomy\nx\t3\t1\tk__A\n",
            {"transpose": False},
            r"column 'taxonomy': counts must be .* text; got 'k__A'. To leave it out: drop=\['taxonomy'\]",
        ),
        ("a,b\n1,True\n2,False\n", {}, r"column 'b': .* holds text; got 'True'.*drop=\['b'\].*labels='b'"),
    ],
)
def test_columns_that_cannot_be_read(write, text, options, message):
    with pytest.raises(ValueError, match=message):
        read_counts(write(text), **options)


def test_weights_are_shown(write):
    file = write("a,b,frequency\n1,2,3\n")
    assert "weighted: each row is as many groups as its weight" in repr(read_counts(file))
    assert read_counts(file, layout="wide").category_names == ("a", "b", "frequency")


def test_missing_entries_of_columns_that_are_not_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    columns = {"sample": ["x", "y"], "a": [3, 0], "b": [1, 4], "age": [30, None], "pheno": ["lean", None]}
    file = tmp_path / "counts.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns), file)
    assert read_counts(file, drop=["age", "pheno"]).counts.tolist() == [[3, 1], [0, 4]]
    assert read_labels(file, "pheno", ["x"]) == ("lean",)
    assert read_labels(file, "a", ["x", "y"]) == ("3", "0")
    for options, message in (
        ({"drop": ["pheno"]}, "row 2, column 'age': missing; write 0 for none"),
        ({"drop": ["age"], "labels": "pheno"}, "row 2, column 'pheno': missing; each row needs a label"),
    ):
        with pytest.raises(ValueError, match=message):
            read_counts(file, **options)
    with pytest.raises(ValueError, match="1 of 2 groups have no label: 'y'"):
        read_labels(file, "pheno", ["x", "y"])


def test_labels_of_metadata(write):
    file = write("row,id,pheno\n1,a,lean\n2,b,obese\n3,c,\n4,d,lean\n5,d,obese\n", "metadata.csv")
    assert read_labels(file, "pheno", ["b", "a"]) == ("obese", "lean")
    for column, groups, message in (
        ("pheno", ["a", "c", "z"], r"2 of 3 groups have no label: 'c', 'z'"),
        ("pheno", ["a", "d"], r"line 6, column 'pheno': group 'd' has the labels 'lean' and 'obese'"),
        ("phenotype", ["a"], "column must name columns; got 'phenotype', and there are 'row', 'id', 'pheno'"),
        ("pheno", None, "the table of counts has none"),
    ):
        with pytest.raises(ValueError, match=message):
            read_labels(file, column, groups)


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("sample,taxon,reads", {}),
        ("subject,word,n", {}),
        ("place,taxon,n", {}),
        ("x,y,z", {"transpose": False}),
    ],
)
def test_long_form_under_other_names(write, header, options):
    rows = ["first,white,3", "second,black,4", "first,black,1"]
    for order in ([0, 1, 2], [2, 0, 1]):
        lines = [",".join(line.split(",")[i] for i in order) for line in [header, *rows]]
        table = read_counts(write("\n".join(lines)), **options)
        assert (table.group_names, table.category_names) == (("first", "second"), ("white", "black"))
        assert table.counts.tolist() == [[3, 1], [0, 4]]


def test_long_form_of_unknown_columns(write):
    file = write("x,y,z\nfirst,white,3\nsecond,black,4\n")
    with pytest.warns(UserWarning, match="column 'x' is read as the groups and 'y' as the categories"):
        assert read_counts(file).group_names == ("first", "second")
    assert read_counts(file, transpose=True).group_names == ("white", "black")
    labelled = write("sample,taxon,reads,pheno\na,x,1,lean\nb,x,2,obese\na,y,3,lean\n")
    assert read_counts(labelled, labels="pheno").labels == ("lean", "obese")
    with pytest.raises(ValueError, match="line 4, column 'pheno': group 'a' has the labels 'lean' and 'obese'"):
        read_counts(write("sample,taxon,reads,pheno\na,x,1,lean\nb,x,2,obese\na,y,3,obese\n"), labels="pheno")


@pytest.mark.parametrize(
    ("header", "category"),
    [
        ("subject,taxon,count", "A"),
        ("subject,taxon,count", "7"),
        ("patient,genus,reads", "A"),
        ("sample,OTU,n", "7"),
        ("group,category,x", "7"),
    ],
)
def test_long_form_of_numbers(write, header, category):
    rows = [line.replace("A", category) for line in ("1,A,3", "1,8,2", "2,A,1")]
    for order in itertools.permutations(range(3)):
        text = "\n".join(",".join(line.split(",")[i] for i in order) for line in [header, *rows])
        table = read_counts(write(text))
        assert (table.group_names, table.category_names) == (("1", "2"), (category, "8"))
        assert table.counts.tolist() == [[3, 2], [1, 0]]


def test_long_form_beside_other_columns(write):
    file = write("sample,taxon,count,percent\n1,7,3,60\n1,8,2,40\n2,7,1,100\n")
    with pytest.warns(UserWarning, match=r"read as a long table, without its columns 'percent'. Pass layout='long'"):
        table = read_counts(file)
    assert (table.group_names, table.category_names) == (("1", "2"), ("7", "8"))
    assert read_counts(file, layout="long").counts.tolist() == read_counts(file, drop=["percent"]).counts.tolist()
    file = write("sample,code,reads\n1,7,3\n2,8,4\n")
    with pytest.warns(UserWarning, match=r"categories are read from 'reads' too.*layout='wide'.*layout='long'.*drop="):
        assert read_counts(file).category_names == ("code", "reads")
    assert read_counts(file, layout="wide").category_names == ("code", "reads")
    file = write("sample,code,reads\n1,7,3\n1,8,4\n")
    with pytest.raises(ValueError, match=r"'1' stands on line 2 already.*layout='long'.*labels='sample'"):
        read_counts(file)
    with pytest.raises(ValueError, match=r"missing group, category: rename the columns, or .*drop="):
        read_counts(write("subject,sample,taxon,count\n1,4,A,3\n"), layout="long")


NUMBERED = ["subject", "participant", "Patient", "patient id", "donor", "cell", "barcode", "index", "Unnamed: 0"]


@pytest.mark.parametrize("header", NUMBERED)
def test_numbers_that_name_groups(write, header):
    table = read_counts(write(f"{header},white,black\n101,3,1\n102,0,4\n"))
    assert (table.group_names, table.category_names, table.transposed) == (("101", "102"), ("white", "black"), False)


@pytest.mark.parametrize("header", ["OTU", "gene", "Taxon", "feature", "#OTU ID"])
def test_numbers_that_name_categories(write, header):
    table = read_counts(write(f"{header},s1,s2\n1,3,4\n2,0,1\n"))
    assert (table.group_names, table.category_names, table.transposed) == (("s1", "s2"), ("1", "2"), True)
    assert table.counts.tolist() == [[3, 0], [4, 1]]


def test_numbers_that_may_be_names(write):
    for header, name in (("child,adult", "child"), ("person,place", "person"), ("sample,patient_id", "patient_id")):
        file = write(f"{header},white,black\n1,3,4,0\n2,0,1,4\n")
        with pytest.warns(UserWarning, match=f"counts of categories are read from '{name}' too"):
            table = read_counts(file)
        assert name in table.category_names
        assert read_counts(file, drop=[name]).category_names[-2:] == ("white", "black")
    assert read_counts(write("genes,proteins\n1,3\n")).category_names == ("genes", "proteins")


def test_a_table_of_one_sample_with_its_lineages(write):
    table = read_counts(write("#OTU ID\tS1\ttaxonomy\nx\t3\tk__A\ny\t1\tk__B\n"))
    assert (table.group_names, table.category_names, table.counts.tolist()) == (("S1",), ("x", "y"), [[3, 1]])


def test_index_of_pandas_in_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    file, frame = tmp_path / "twins.parquet", twins_frame()
    for variant in (frame, frame.rename_axis("sample"), frame.astype(float), frame.reset_index()):
        variant.to_parquet(file)
        same_as_twins(read_counts(file))
    frame.reset_index(drop=True).iloc[5:].to_parquet(file)  # an index of numbers without a name
    table = read_counts(file)
    assert (table.group_names, table.category_names) == (None, TWINS.category_names)
    frame.assign(pheno=list(TWINS.labels)).astype({"pheno": "category"}).to_parquet(file)
    assert read_counts(file, labels="pheno").labels == TWINS.labels
    frame.set_index("Bacteroides", append=True).to_parquet(file)
    with pytest.raises(ValueError, match="the index has 2 columns"):
        read_counts(file)


def write_biom(file, counts, groups, categories, **changes):
    h5py, sparse = pytest.importorskip("h5py"), pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(counts)
    content = {f"sample/matrix/{name}": getattr(matrix, name) for name in ("data", "indices", "indptr")}
    content |= {"sample/ids": list(groups), "observation/ids": list(categories)} | changes
    with h5py.File(file, "w") as stored:
        for name, value in content.items():
            text = name.endswith("ids") and {"dtype": h5py.string_dtype()}
            stored.create_dataset(name, data=value, compression="gzip", **(text or {}))


def cut_off_files_are_named(file, read):
    whole = file.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=rf"{file.name}: not a readable"):
            read(file)
    file.write_bytes(whole)


def test_biom(tmp_path):
    file = tmp_path / "twins.biom"
    write_biom(file, TWINS.counts.astype(float), TWINS.group_names, TWINS.category_names)
    table = read_counts(file)
    same_as_twins(table)
    assert table.transposed
    assert read_counts(file, transpose=False).group_names == TWINS.category_names
    cut_off_files_are_named(file, biom.read)
    counts, names = np.array([[3.0, 0.0], [1.0, 4.0]]), (("x", "y"), ("white", "black"))
    for changes, message in (
        ({"sample/matrix/data": [3.0, 0.5, 4.0]}, r"whole numbers; got 0\.5 at row 'y', column 'white'"),
        ({"sample/matrix/data": [3.0, -1.0, 4.0]}, "negative"),
        ({"sample/matrix/indices": [0, 0, 2]}, "below 2"),
        ({"sample/matrix/indices": [0, 1, 1]}, "has a cell twice"),
        ({"sample/matrix/indptr": [0, 3, 1]}, "indptr"),
        ({"sample/matrix/indptr": [0, 3]}, "indptr"),
        ({"sample/ids": ["x", "x"]}, "two samples are named 'x'"),
        ({"observation/ids": ["x"]}, "two observations|below 1"),
    ):
        write_biom(file, counts, *names, **changes)
        with pytest.raises(ValueError, match=rf"twins\.biom.*({message})"):
            biom.read(file)
    with pytest.importorskip("h5py").File(file, "a") as stored:
        del stored["sample/ids"]
        stored["sample/ids"] = [1, 2]
    with pytest.raises(ValueError, match=r"twins\.biom.*/sample/ids must hold text; it holds int64"):
        biom.read(file)
    with pytest.raises(ValueError, match="drop and labels name columns of text and Parquet"):
        read_counts(file, drop=["white"])
    file.write_text('{"format": "Biological Observation Matrix 1.0.0"}')
    with pytest.raises(ValueError, match=r"BIOM 1\.0.*biom convert --to-hdf5"):
        read_counts(file)


def test_hdf5_files_that_state_more_than_they_hold(tmp_path):
    h5py = pytest.importorskip("h5py")
    for name in ("huge.biom", "huge.h5ad"):
        if name.endswith("h5ad"):
            pytest.importorskip("anndata")
        with h5py.File(tmp_path / name, "w") as stored:
            stored.create_dataset("sample/matrix/data", (10**12,), "f8", chunks=(1000,))
        with pytest.raises(ValueError, match=rf"{name}.*states 8000000000000 bytes"):
            read_counts(tmp_path / name)
        (tmp_path / name).write_bytes(b"no HDF5")
        with pytest.raises(ValueError, match=rf"{name}: not a readable"):
            read_counts(tmp_path / name)
        with pytest.raises(FileNotFoundError):
            read_counts(tmp_path / f"absent{name}")


def looping_biom(file):
    """A file of whose text libhdf5 never returns: the free space of its global heap has the size 0."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "w") as stored:
        for name, value in {"sample/ids": ["x", "y"], "observation/ids": ["white", "black"]}.items():
            stored.create_dataset(name, data=value, dtype=h5py.string_dtype())
        for name, value in {"data": [3.0, 1.0, 4.0], "indices": [0, 0, 1], "indptr": [0, 1, 3]}.items():
            stored.create_dataset(f"sample/matrix/{name}", data=value)
    assert read_counts(file).counts.tolist() == [[3, 0], [1, 4]]
    content = bytearray(file.read_bytes())
    at = content.index(b"GCOL") + 16
    while content[at] != 0:  # objects: index, references, size, content in steps of 8
        at += 16 + -(-int.from_bytes(content[at + 8 : at + 16], "little") // 8) * 8
    content[at + 8 : at + 16] = bytes(8)
    file.write_bytes(content)


def test_files_that_libhdf5_reads_without_end(tmp_path):
    file = tmp_path / "endless.biom"
    looping_biom(file)
    with pytest.raises(ValueError, match=r"endless\.biom: could not be read within 2 s: it is probably damaged"):
        child.read(biom.read, file, seconds=2.0)
    with pytest.raises(ValueError, match=r"false: reading it ended a process, with exit status 1: .* damaged"):
        child.read(os.execlp, Path("false"), "false", seconds=600.0)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the child in /proc")
def test_interrupting_libhdf5(tmp_path):
    file = tmp_path / "endless.biom"
    looping_biom(file)
    program = "import sys; from hbm_fast.tables import read_counts; print(flush=True); read_counts(sys.argv[1])"
    command = [sys.executable, "-c", program, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (found := children.read_text().split()) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)  # the child has begun by then
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=300)[1]
    assert found
    for _ in range(1000):
        if not any(map(is_running, found)):
            return
        time.sleep(0.05)
    raise AssertionError(f"{found} still run")


def test_h5ad(tmp_path):
    anndata, pd = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    data = anndata.AnnData(
        sparse.csr_matrix(TWINS.counts.astype(np.float32)),
        obs=pd.DataFrame(
            {"pheno": list(TWINS.labels), "some": [*TWINS.labels[:5], *[None] * 273]}, index=list(TWINS.group_names)
        ),
        var=pd.DataFrame(index=list(TWINS.category_names)),
        layers={"counts": TWINS.counts, "half": TWINS.counts / 2},
    )
    file = tmp_path / "twins.h5ad"
    data.write_h5ad(file)
    same_as_twins(h5ad.read(file, None, None))
    cut_off_files_are_named(file, partial(h5ad.read, layer=None, labels=None))
    table = read_counts(file, layer="counts", labels="pheno")
    same_as_twins(table)
    assert table.labels == TWINS.labels
    for layer, labels, message in (
        ("half", None, r"whole numbers; got \d*\.5 at row 'TS"),
        ("other", None, ": layer must be one of the layers of the file, 'counts', 'half'; got 'other'"),
        (None, "age", "labels must name a column of obs; got 'age', and there are 'pheno', 'some'"),
        (None, "some", "labels: group 'TS103.2' has none in column 'some' of obs"),
    ):
        with pytest.raises(ValueError, match=rf"^[^ ]*twins\.h5ad.*{message}"):
            h5ad.read(file, layer, labels)


LINEAGES = ("k__Bacteria; p__Firmicutes; f__Rikenellaceae", "k__Bacteria; p__; f__S24-7", "k__Archaea; p__, x; f__")


@pytest.mark.parametrize(("delimiter", "other"), [(",", ";"), ("\t", ";"), (";", ","), ("\t", ",")])
def test_lineages_have_delimiters_of_their_own(write, delimiter, other):
    names = tuple(name.replace(",", "").replace(";", other) for name in LINEAGES)
    rows = [("x", "3", "1", "0"), ("y", "0", "4", "1"), ("z", "1", "2", "3")]
    comment = "# a comment, of a; kind\n"
    for header in (("sample", *names), ("#SampleID", *names), names):  # the last as R writes row names
        table = read_counts(write(comment + "\n".join(map(delimiter.join, (header, *rows))) + "\n"))
        assert (table.category_names, table.group_names) == (names, ("x", "y", "z"))
        assert table.counts.tolist() == [[3, 1, 0], [0, 4, 1], [1, 2, 3]]
    rows = zip(("#OTU ID", *names), *rows, strict=True)  # a category in each row
    table = read_counts(write("\n".join(map(delimiter.join, rows))))
    assert (table.category_names, table.transposed) == (names, True)


def test_quoted_lineages_and_leading_blank_lines(write):
    header = ",".join(f'"{name}"' for name in LINEAGES)
    table = read_counts(write(f'\n"sample",{header}\n"x; y; z",3,1,0\n"y",0,4,1\n'))
    assert (table.category_names, table.group_names) == (LINEAGES, ("x; y; z", "y"))
    wide = write("sample\t" + "\t".join(f"g__{k}; s__{k}" for k in range(20_000)) + "\n" + "x" + "\t1" * 20_000)
    assert read_counts(wide).counts.shape == (1, 20_000)


def test_damaged_gzip(tmp_path):
    whole = gzip.compress(twins_of_qiime().encode())
    file = tmp_path / "damaged.tsv.gz"
    for content in (whole[:-5], whole[: len(whole) // 2], b"no gzip", b"", whole[:5000] + b"x" + whole[5001:]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged\.tsv\.gz"):
            read_counts(file)


def test_files_of_a_csv_writer_with_quotes(tmp_path):
    file = tmp_path / "quoted.tsv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerows([["#OTU ID", "S1", "S2"], ["x", 3, 0], ["y", 1, 4]])
    assert read_counts(file).transposed
