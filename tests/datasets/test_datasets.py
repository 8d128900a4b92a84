"""The packaged count tables agree with their sources."""

import numpy as np
import pytest

import hbm_fast as hbm


def test_marbles():
    data = hbm.datasets.load_marbles()
    assert data.counts.tolist() == [[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]]
    assert data.category_names == ("white", "black")


def test_rat_tumors():
    data = hbm.datasets.load_rat_tumors()
    assert data.counts.shape == (71, 2)
    assert data.category_names == ("tumor", "no tumor")
    # sums stated with the table (Gelman et al., Table 5.1): 267 tumours in 1,739 rats
    assert data.counts[:, 0].sum() == 267
    assert data.counts.sum() == 1739


def test_pollen():
    data = hbm.datasets.load_pollen()
    assert data.counts.shape == (73, 4)
    # Mosimann counted 100 grains a sample
    np.testing.assert_array_equal(data.counts.sum(axis=1), 100)


def test_saxony_families():
    data = hbm.datasets.load_saxony_families()
    assert data.counts.shape == (13, 2)
    np.testing.assert_array_equal(data.counts.sum(axis=1), 12)
    assert data.weights.sum() == 6115


def test_twins():
    data = hbm.datasets.load_twins()
    # Holmes, Harris & Quince 2012: 278 samples, 130 genera
    assert data.counts.shape == (278, 130)
    totals = data.counts.sum(axis=1)
    assert (totals.min(), totals.max(), totals.sum()) == (53, 10585, 570851)
    assert set(data.labels) == {"Lean", "Overwt", "Obese"}
    assert data.labels[0] == "Lean"


@pytest.mark.parametrize(
    "name", ["load_marbles", "load_rat_tumors", "load_pollen", "load_saxony_families", "load_twins"]
)
def test_every_dataset_names_its_rows_columns_and_source(name):
    data = getattr(hbm.datasets, name)()
    n_groups, n_categories = data.counts.shape
    assert data.counts.dtype == np.int64
    assert data.counts.flags.c_contiguous
    assert len(set(data.group_names)) == n_groups
    assert len(set(data.category_names)) == n_categories
    assert data.source
    assert data.licence
    assert data.description
    assert (data.weights is None) or data.weights.shape == (n_groups,)
    assert (data.labels is None) or len(data.labels) == n_groups
    assert f"{n_groups} groups" in repr(data)
