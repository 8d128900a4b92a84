"""A damaged file raises an error that names it, or is read with its original numbers."""

import gzip
import io
import zipfile

import numpy as np
import pytest

import hbm_fast as hbm
from damage import read_damaged
from hbm_fast.tables import npz, read_counts

RNG = np.random.default_rng(0)
COUNTS = RNG.integers(0, 300, (40, 5))
GROUPS = [f"g{i}" for i in range(40)]
CATEGORIES = list("abcde")
WEIGHTS = RNG.integers(1, 9, 40)


def wide():
    rows = [",".join([name, *map(str, row)]) for name, row in zip(GROUPS, COUNTS, strict=True)]
    return "\n".join([",".join(["group", *CATEGORIES]), *rows])


def long():
    rows = [f"{name}\t{c}\t{COUNTS[i, k]}" for i, name in enumerate(GROUPS) for k, c in enumerate(CATEGORIES)]
    return "\n".join(["group\tcategory\tcount", *rows])


def arrays():
    return {
        "counts": COUNTS,
        "weights": WEIGHTS,
        "group_names": np.array(GROUPS),
        "category_names": np.array(CATEGORIES),
    }


def table_bytes(kind, tmp_path):
    file = tmp_path / f"made.{kind.split()[-1]}"
    if kind == "checked npz":
        npz.write(file, arrays())
    elif kind == "npz":
        np.savez(file, **arrays())
    elif kind == "npy":
        np.save(file, COUNTS)
    elif "parquet" in kind:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        table = pyarrow.table({"group": GROUPS, **{c: COUNTS[:, k] for k, c in enumerate(CATEGORIES)}})
        parquet.write_table(table, file, write_page_checksum="checked" in kind)
    elif kind == "csv.gz":
        file.write_bytes(gzip.compress(wide().encode()))
    else:
        file.write_text(long() if kind == "tsv" else wide())
    return file.read_bytes()


def is_valid(table):
    assert table.counts.dtype == np.int64
    assert table.counts.ndim == 2
    assert table.counts.min() >= 0
    assert table.counts.shape[1] >= 2
    for names, n in zip((table.group_names, table.category_names), table.counts.shape, strict=True):
        assert names is None or len(names) == len(set(names)) == n
    assert table.weights is None or table.weights.shape == table.counts.shape[:1]


def are_equal(one, other):
    weights = (one.weights is None) == (other.weights is None) and np.array_equal(one.weights, other.weights)
    names = (one.group_names, one.category_names) == (other.group_names, other.category_names)
    return weights and names and np.array_equal(one.counts, other.counts)


@pytest.mark.parametrize("kind", ["checked npz", "npz", "npy", "csv", "tsv", "csv.gz", "parquet", "checked parquet"])
def test_damaged_tables(kind, tmp_path):
    file = tmp_path / f"damaged.{kind.split()[-1]}"
    file.write_bytes(table_bytes(kind, tmp_path))
    original = read_counts(file)
    for table in read_damaged(file, read_counts, 1):
        is_valid(table)
        if kind.endswith("npz") or kind == "checked parquet":
            assert are_equal(table, original)


@pytest.mark.parametrize("method", ["hmc", "quadrature"])
def test_damaged_posteriors(method, tmp_path):
    pytest.importorskip("h5netcdf")
    counts = np.array([[3, 0], [0, 4]])
    if method == "hmc":
        post = hbm.sample(counts, n_draws=12, n_chains=2, rng=0, method="hmc")
    else:
        post = hbm.exact_posterior(counts, n_draws=20, rng=0)
    file = tmp_path / "damaged.nc"
    post.save(file)
    for again in read_damaged(file, hbm.Posterior.load, 2):
        assert again.model == post.model
        assert (again.method, again.log_evidence) == (post.method, post.log_evidence)
        for name in ("log_alpha", "log_beta", "counts", "_key"):
            np.testing.assert_array_equal(getattr(again, name), getattr(post, name))
        for name, values in post.sample_stats.items():
            np.testing.assert_array_equal(again.sample_stats[name], values)


@pytest.fixture
def saved(tmp_path):
    pytest.importorskip("h5netcdf")
    post = hbm.exact_posterior([[3, 0], [0, 4]], n_draws=20, rng=0, category_names=["white", "black"])
    post.save(tmp_path / "post.nc")
    return post, tmp_path / "post.nc"


def test_one_changed_number_is_seen(saved):
    post, file = saved
    content = file.read_bytes()
    old, new = post.log_alpha[0, 3].tobytes(), (post.log_alpha[0, 3] + 1e-12).tobytes()
    assert old in content
    file.write_bytes(content.replace(old, new))
    with pytest.raises(ValueError, match=r"post\.nc.*differs from the checksum"):
        hbm.Posterior.load(file)
    file.write_bytes(content[: content.rindex(b"\n", 0, -1)])
    with pytest.raises(ValueError, match=r"post\.nc.*checksum, is missing"):
        hbm.Posterior.load(file)


def test_other_packages_read_the_files(saved):
    xarray = pytest.importorskip("xarray")
    post, file = saved
    with xarray.open_datatree(file, engine="h5netcdf") as tree:
        np.testing.assert_array_equal(tree["posterior/alpha"], post.alpha)
        assert tree["posterior"]["category"].to_numpy().tolist() == ["white", "black"]


def test_files_from_before_the_checksums_are_read(saved):
    post, file = saved
    image, _, _ = file.read_bytes().partition(b"\nhbm_fast sha256")
    file.write_bytes(image.replace(b"SHA-256", b"       "))  # the attribute that marks the last line as a checksum
    again = hbm.Posterior.load(file)
    np.testing.assert_array_equal(again.log_beta, post.log_beta)
    assert again.category_names == ("white", "black")


def test_foreign_netcdf_is_named(saved, tmp_path):
    h5py = pytest.importorskip("h5py")
    for name, content in (("empty.nc", b""), ("text.nc", b"white,black\n1,2\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            hbm.Posterior.load(tmp_path / name)
    with h5py.File(tmp_path / "foreign.nc", "w") as content:
        content["posterior/log_alpha"] = np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"foreign\.nc was not written by Posterior.save"):
        hbm.Posterior.load(tmp_path / "foreign.nc")
    for facts in ("[]", "{}", "no JSON"):
        with h5py.File(tmp_path / "foreign.nc", "w") as content:
            content.create_group("hbm_fast").attrs["facts"] = facts
        with pytest.raises(ValueError, match=r"foreign\.nc: not a posterior"):
            hbm.Posterior.load(tmp_path / "foreign.nc")
    with h5py.File(tmp_path / "huge.nc", "w") as content:
        content.create_group("hbm_fast").attrs["facts"] = "{}"
        content.create_dataset("posterior/log_alpha", (10**7, 10**6), "f8", chunks=(1000, 1000))
    with pytest.raises(ValueError, match=r"huge\.nc.*states 80000000000000 bytes"):
        hbm.Posterior.load(tmp_path / "huge.nc")
    with pytest.raises(FileNotFoundError, match="absent"):
        hbm.Posterior.load(tmp_path / "absent.nc")


def test_another_suffix_is_refused(saved, tmp_path):
    post, _ = saved
    for name in ("x.csv", "x.json", "x", "nc"):
        with pytest.raises(ValueError, match=r"path must end in \.nc"):
            post.save(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["post.nc"]


# headers -----------------------------------------------------------------------------------------------------------


def header(shape, dtype="<i8"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def zipped(file, **members):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


@pytest.mark.parametrize("shape", [(10**15, 3), (2**62, 4), (-1, 2), (-3, -2), (3, 2), (1, 2)])
def test_headers_that_state_another_size(shape, tmp_path):
    content = header(shape) + np.arange(4).tobytes()
    (tmp_path / "c.npy").write_bytes(content)
    zipped(tmp_path / "c.npz", counts=content)
    for name in ("c.npy", "c.npz"):
        with pytest.raises(ValueError, match=rf"{name}.*the header states"):
            read_counts(tmp_path / name)


def test_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "c.npy", np.array([[1, 2]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "c.npz", counts=np.array([[1, 2]]), group_names=np.array(["a"], dtype=object))
    for name in ("c.npy", "c.npz"):
        with pytest.raises(ValueError, match=rf"{name}.*Python objects"):
            read_counts(tmp_path / name)


def test_other_members_are_not_unpacked(tmp_path, monkeypatch):
    bomb = header((10**8,), "|u1") + bytes(10**8)
    good = io.BytesIO()
    np.save(good, np.array([[1, 2]]))
    zipped(tmp_path / "c.npz", counts=good.getvalue(), bomb=bomb)
    unpacked, read_member = [], npz.read_member

    def recorded(archive, info):
        unpacked.append(info.filename)
        return read_member(archive, info)

    monkeypatch.setattr(npz, "read_member", recorded)
    assert read_counts(tmp_path / "c.npz").counts.tolist() == [[1, 2]]
    assert unpacked == ["counts.npy"]


def test_a_member_that_states_more_than_deflate_can_hold(tmp_path):
    zipped(tmp_path / "c.npz", counts=header((100, 2)) + bytes(1600))
    content = bytearray((tmp_path / "c.npz").read_bytes())
    at = content.rfind(b"PK\1\2")  # the directory's entry: uncompressed size at 24
    content[at + 24 : at + 28] = (2**31).to_bytes(4, "little")
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"c\.npz.*claims 2147483648 bytes"):
        read_counts(tmp_path / "c.npz")


def test_npz_checksums(tmp_path):
    npz.write(tmp_path / "c.npz", arrays())
    with np.load(tmp_path / "c.npz") as stored:
        content = dict(stored)
    for name, array in arrays().items():
        np.testing.assert_array_equal(content[name], array)
    content["counts"] = content["counts"] + 1
    np.savez(tmp_path / "changed.npz", **content)
    del content["weights"], content["counts"]
    np.savez(tmp_path / "lacking.npz", counts=COUNTS, **content)
    for name, array in (("changed", "counts"), ("lacking", "weights")):
        with pytest.raises(ValueError, match=rf"{name}\.npz.*'{array}' differs from its checksum"):
            read_counts(tmp_path / f"{name}.npz")
