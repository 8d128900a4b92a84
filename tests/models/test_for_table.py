"""HierarchicalModel.for_table: the median total of weighted rows, of statistics and of a layer of AnnData."""

import numpy as np
import pytest

import hbm_fast as hbm

COUNTS = np.array([[20, 0, 1], [3, 17, 3], [0, 4, 0], [0, 0, 0], [7, 7, 90]])


@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [5, 1, 1, 9, 1], [1, 1, 1, 0, 1], [2, 0, 0, 1, 1]])
@pytest.mark.parametrize("scale", [1, 10**6])
def test_weights_are_numbers_of_groups(weights, scale):
    counts = COUNTS * scale
    repeated = np.repeat(counts, weights, axis=0)
    totals = repeated.sum(axis=1)
    expected = hbm.priors.HalfCauchy(float(np.sqrt(np.median(totals[totals > 0]))))
    table = hbm.tables.CountTable(counts, weights=np.array(weights))
    for given in (table, hbm.SufficientStatistics(table), hbm.SufficientStatistics(repeated), repeated):
        model = hbm.HierarchicalModel.for_table(given)
        assert (model.alpha, model.n_categories) == (expected, 3)


def test_empty_statistics_and_layers():
    with pytest.raises(ValueError, match="at least one count"):
        hbm.HierarchicalModel.for_table(hbm.SufficientStatistics(n_categories=3))
    with pytest.raises(ValueError, match="at least one count"):
        hbm.HierarchicalModel.for_table(hbm.tables.CountTable(COUNTS, weights=np.zeros(5, int)))
    with pytest.raises(TypeError, match="layer is for AnnData"):
        hbm.HierarchicalModel.for_table(hbm.SufficientStatistics(COUNTS), layer="raw")
    anndata = pytest.importorskip("anndata")
    data = anndata.AnnData(X=COUNTS / 2, layers={"raw": COUNTS})
    assert hbm.HierarchicalModel.for_table(data, layer="raw") == hbm.HierarchicalModel.for_table(COUNTS)
