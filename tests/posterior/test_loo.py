"""Leave-one-out cross-validation of every kind of posterior, against the evidence with and without each group."""

import numpy as np
import pytest

import hbm_fast as hbm

BAGS = np.array([[9, 0], [8, 1], [0, 9], [1, 8], [3, 4], [0, 0]])
PROCESS = hbm.priors.DirichletProcess
MODELS = {
    "one component": hbm.HierarchicalModel(2),
    "two components": hbm.MixtureModel(2, n_components=2),
    "Dirichlet process": hbm.MixtureModel(2, n_components=PROCESS(1.0)),
    "learned concentration": hbm.MixtureModel(2, n_components=PROCESS(hbm.priors.Gamma(2.0, rate=2.0))),
}


def evidence(counts, model):
    exact = isinstance(model, hbm.MixtureModel)
    return hbm.log_evidence(counts, model, method="enumeration" if exact else "quadrature").value


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_loo_is_the_evidence_over_that_without_the_group(model):
    loo = hbm.sample(BAGS, model, n_draws=2000, rng=1, diagnostics=False).loo()
    whole = evidence(BAGS, model)
    for n in (0, 4, 5):  # a pure bag, a mixed one, an empty one
        exact = whole - evidence(np.delete(BAGS, n, axis=0), model)
        assert loo.pointwise[n] == pytest.approx(exact, abs=0.1), n
    assert loo.pointwise[5] == 0.0
    assert loo.elpd == loo.pointwise.sum()
    assert loo.unit == "group"


def test_empty_groups_change_no_number():
    post = hbm.sample(BAGS, rng=1)
    padded = hbm.sample(np.vstack([BAGS, np.zeros((3, 2), int)]), rng=1)
    one, two = post.loo(), padded.loo()
    assert (one.elpd, one.standard_error, one.n_effective) == (two.elpd, two.standard_error, two.n_effective)
    assert two.pointwise.shape == (9,)


def test_loo_of_weighted_draws():
    """Draws under one prior of alpha, weighted to be those under another."""
    post = hbm.sample(BAGS, n_draws=4000, rng=1)
    model = hbm.HierarchicalModel(2, alpha=hbm.priors.Exponential(3))
    loo = hbm.Posterior(post.log_alpha, post.log_beta, model=model, counts=BAGS, log_weights=-2.0 * post.alpha).loo()
    for n in (0, 4):
        exact = evidence(BAGS, model) - evidence(np.delete(BAGS, n, axis=0), model)
        assert loo.pointwise[n] == pytest.approx(exact, abs=0.1)


def test_loo_agrees_with_that_of_arviz():
    arviz = pytest.importorskip("arviz")
    post = hbm.sample(hbm.datasets.load_pollen(), rng=1)
    found = post.loo()
    theirs = arviz.loo(post.to_arviz(log_likelihood=True), pointwise=True, reff=1.0)  # as of independent draws
    elpd = theirs.elpd_loo if hasattr(theirs, "elpd_loo") else theirs.elpd  # before ArviZ 1.0, and since
    assert found.elpd == pytest.approx(elpd, abs=1e-3)
    np.testing.assert_allclose(found.pareto_k, np.asarray(theirs.pareto_k), atol=0.05)


def test_an_unlikely_group_is_reported():
    counts = np.array([[200, 200]] * 8 + [[400, 0]])
    with pytest.warns(hbm.ConvergenceWarning, match="the Pareto k of 1 of 9 groups exceeds 0.7"):
        loo = hbm.sample(counts, hbm.HierarchicalModel(2, alpha=hbm.priors.HalfCauchy(100)), rng=1).loo()
    assert loo.n_unreliable == 1
    assert loo.pareto_k.argmax() == 8


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"use post\[b\].loo\(\)"):
        hbm.sample(np.stack([BAGS, BAGS]), rng=1, diagnostics=False).loo()
    with pytest.raises(ValueError, match="no counts"):
        hbm.sample(hbm.SufficientStatistics(BAGS), rng=1).loo()
