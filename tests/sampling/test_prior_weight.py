"""PriorWarning: where the prior of beta weighs much beside the data, and nowhere else; priors for a table."""

import warnings

import numpy as np
import pytest
from scipy.special import digamma

import hbm_fast as hbm

TWINS = hbm.datasets.load_twins().counts


def test_expected_tables_are_the_sum_of_their_definition():
    rng = np.random.default_rng(0)
    counts = rng.negative_binomial(0.3, 0.02, size=(12, 5))
    log_alpha, log_beta = rng.normal(size=3), np.log(rng.dirichlet(np.ones(5), size=3))
    log_beta[0, 0] = -2000.0  # below the smallest double: one table for each group with that category
    expected = []
    for t, logs in zip(log_alpha, log_beta, strict=True):
        a = np.exp(np.maximum(t + logs, -690.0))
        levels = np.arange(counts.max())[:, np.newaxis, np.newaxis]
        expected.append((a / (a + levels) * (counts > levels)).sum())
    statistics = hbm.SufficientStatistics(counts)._core
    found = hbm._core.mcmc.expected_tables(statistics, log_alpha, log_beta)
    assert found == pytest.approx(np.mean(expected), rel=1e-12)
    # large counts, of which no sum over levels is made
    huge = hbm.SufficientStatistics([[10**12, 1]])._core
    found = hbm._core.mcmc.expected_tables(huge, np.array([0.0]), np.log([[0.5, 0.5]]))
    assert found == pytest.approx(0.5 * (digamma(1e12 + 0.5) - digamma(0.5)) + 1.0, rel=1e-12)


def test_ten_twins():
    with pytest.warns(hbm.PriorWarning, match=r"adds 130 pseudo-counts to the 3[5-9]\d draws .*\(3[4-7] %.*for_table"):
        hbm.sample(TWINS[:10], rng=1)


@pytest.mark.parametrize(
    ("counts", "model"),
    [
        (hbm.datasets.load_marbles().counts, None),
        (TWINS, None),  # 130 of about 9,000
        (TWINS[:10], hbm.HierarchicalModel.for_table(TWINS[:10])),
        (TWINS[:10], hbm.HierarchicalModel(130, alpha=10.0, beta=0.1)),
        (TWINS[:10], hbm.HierarchicalModel(130, beta=hbm.priors.FixedBeta(np.full(130, 1 / 130)))),
        ([[3, 0], [0, 4]], None),  # the uniform prior of few proportions
        (np.zeros((3, 20), dtype=int), None),  # no data: the prior is the answer
    ],
    ids=["marbles", "twins", "for_table", "sparse", "fixed", "narrow", "empty"],
)
def test_silent(counts, model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", hbm.PriorWarning)
        warnings.simplefilter("ignore", hbm.ConvergenceWarning)
        hbm.sample(counts, model, rng=1, n_draws=200)


def test_statistics_and_batches():
    with pytest.warns(hbm.PriorWarning, match=r"the 3[5-9]\d draws"):
        hbm.sample(hbm.SufficientStatistics(TWINS[:10]), rng=1)
    with pytest.warns(hbm.PriorWarning, match="in 2 of 3 datasets"):
        hbm.sample([TWINS[:10], TWINS[10:20], TWINS], rng=1, n_draws=100)
    hbm.sample([TWINS[:10], TWINS[20:80]], rng=1, n_draws=100)  # half of them
    hbm.sample(TWINS[:10], rng=1, n_draws=100, diagnostics=False)
    hbm.sample(TWINS[:10], rng=1, n_draws=20)


def test_for_table_uses_k_and_totals():
    table = hbm.datasets.load_twins()
    model = hbm.HierarchicalModel.for_table(table)
    assert model.alpha == hbm.priors.HalfCauchy(np.sqrt(np.median(TWINS.sum(axis=1))))
    assert model.beta == hbm.priors.Dirichlet(hbm.priors.Exponential(1))
    assert model.n_categories == 130
    padded = np.concatenate([TWINS, np.zeros((500, 130), dtype=TWINS.dtype)])
    assert hbm.HierarchicalModel.for_table(padded) == model
    assert hbm.HierarchicalModel.for_table(np.stack([TWINS, TWINS])) == model
    sparse = pytest.importorskip("scipy.sparse")
    assert hbm.HierarchicalModel.for_table(sparse.csr_array(TWINS)) == model


def test_for_two_categories_it_is_a_model_of_exact_posterior():
    counts = hbm.datasets.load_marbles().counts
    model = hbm.HierarchicalModel.for_table(counts)
    assert model == hbm.HierarchicalModel(2, alpha=hbm.priors.HalfCauchy(np.sqrt(20)), beta=1.0)
    assert np.isfinite(hbm.exact_posterior(counts, model).log_evidence)


@pytest.mark.parametrize("counts", [np.zeros((3, 4), dtype=int), np.zeros((0, 4), dtype=int)], ids=["zeros", "no rows"])
def test_a_table_without_counts_has_no_scale(counts):
    with pytest.raises(ValueError, match="at least one count"):
        hbm.HierarchicalModel.for_table(counts)


def test_counts_are_checked():
    with pytest.raises(ValueError, match="counts"):
        hbm.HierarchicalModel.for_table([[1, -2], [3, 4]])
