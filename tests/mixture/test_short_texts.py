"""Mixtures of multinomials, alpha=math.inf, beside the exact posterior of tiny tables; what their results compute."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import scipy.sparse
from tests.mixture.exact_partitions import partitions

import hbm_fast as hbm

TEXTS = np.array([[2, 1, 0], [1, 0, 0], [0, 1, 2], [0, 0, 3], [1, 1, 1], [0, 0, 0]])
PRIOR = np.array([0.3, 0.7, 0.2])
GAMMA = hbm.priors.Gamma(2.0, rate=1.5)


def model(n_components, beta=tuple(PRIOR), n_categories=3, **options):
    return hbm.MixtureModel(n_categories, n_components=n_components, alpha=math.inf, beta=beta, **options)


def log_rising(a, n):
    return sum(math.log(a + i) for i in range(int(n)))


def log_block(rows, prior=PRIOR):
    """Log probability of the rows as one component, their order given."""
    sums = np.sum(rows, axis=0)
    return sum(map(log_rising, prior, sums)) - log_rising(prior.sum(), sums.sum())


def log_given_labels(texts, labels, prior=PRIOR):
    return sum(log_block(texts[np.array(labels) == j], prior) for j in set(labels))


def log_prior(labels, n_components, d=1.0):
    """Of labels, weights ~ Dirichlet(d, ..., d) integrated out."""
    sizes = np.bincount(labels, minlength=n_components)
    return sum(log_rising(d, n) for n in sizes) - log_rising(n_components * d, len(labels))


def log_process(labels, c):
    sizes = np.unique(labels, return_counts=True)[1]
    return len(sizes) * math.log(c) + sum(math.lgamma(n) for n in sizes) - log_rising(c, len(labels))


def weighed(texts, kind):
    """All labellings and their posterior probabilities."""
    if kind == "finite":
        labellings = [list(z) for z in itertools.product(range(2), repeat=len(texts))]
        log_p = [log_prior(z, 2, 0.8) for z in labellings]
    elif kind == "process":
        labellings = partitions(len(texts))
        log_p = [log_process(z, 0.7) for z in labellings]
    else:
        labellings = partitions(len(texts))
        log_c = np.linspace(-9, 4, 261)
        density = GAMMA.log_density(log_c) - [log_rising(c, len(texts)) for c in np.exp(log_c)]
        sizes = [np.unique(z, return_counts=True)[1] for z in labellings]
        log_p = [sum(map(math.lgamma, s)) + np.logaddexp.reduce(density + len(s) * log_c) for s in sizes]
    log_p = np.array(log_p) + [log_given_labels(texts, z) for z in labellings]
    p = np.exp(log_p - log_p.max())
    return np.array(labellings), p / p.sum()


KINDS = {
    "finite": model(2, weights=0.8),
    "process": model(hbm.priors.DirichletProcess(0.7)),
    "learned": model(hbm.priors.DirichletProcess(GAMMA)),
}


def assert_mean(draws, expected):
    """Draws (C, D) have a mean within 7.5 standard errors by batches (p < 1e-9, 79 degrees of freedom) and 0.001."""
    batches = np.reshape(draws, (80, -1)).mean(axis=1)
    error = batches.std(ddof=1) / math.sqrt(80)
    assert abs(batches.mean() - expected) <= 7.5 * error + 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("longest", [1, 40])
def test_the_distribution_of_labels(kind, longest):
    """Co-assignment, the number of components and the log likelihood; counts of 40 times more have no products."""
    texts = TEXTS.copy()
    texts[3] *= longest
    labellings, p = weighed(texts, kind)
    post = hbm.sample(texts, KINDS[kind], n_draws=4000, rng=5)
    for i, j in itertools.combinations(range(len(texts)), 2):
        together = p @ (labellings[:, i] == labellings[:, j])
        assert_mean(post.labels[..., i] == post.labels[..., j], together)
    used = np.array([len(set(z)) for z in labellings])
    for n in set(used):
        assert_mean(post.n_components_used == n, p @ (used == n))
    coefficient = sum(log_rising(1, t.sum()) - sum(log_rising(1, x) for x in t) for t in texts)
    values = [log_given_labels(texts, z) + coefficient for z in labellings]
    assert_mean(post.log_likelihood, p @ values)
    for c, d in ((0, 0), (3, 3999)):
        z = post.labels[c, d].tolist()
        assert post.log_likelihood[c, d] == pytest.approx(log_given_labels(texts, z) + coefficient, abs=1e-10)


@pytest.mark.parametrize("n_components", [3, hbm.priors.DirichletProcess(1.0)])
def test_what_changes_no_bit(n_components):
    """Sparse tables, threads, and the order of the rows."""
    texts = np.random.default_rng(0).poisson(0.6, (60, 12))
    mixture = model(n_components, 0.1, 12)
    first = hbm.sample(texts, mixture, n_draws=50, n_warmup=10, rng=3, diagnostics=False)
    order = np.random.default_rng(1).permutation(60)
    for counts, rows, n_threads in (
        (scipy.sparse.csr_matrix(texts), slice(None), 1),
        (scipy.sparse.csc_array(texts), slice(None), 3),
        (texts[order], order, 2),
    ):
        other = hbm.sample(counts, mixture, n_draws=50, n_warmup=10, rng=3, diagnostics=False, n_threads=n_threads)
        np.testing.assert_array_equal(other.log_likelihood, first.log_likelihood)
        np.testing.assert_array_equal(other.log_weights, first.log_weights)
        if rows is not order:
            np.testing.assert_array_equal(other.labels, first.labels)
            np.testing.assert_array_equal(other.log_predictive(texts[:4]), first.log_predictive(texts[:4]))


@pytest.mark.parametrize("n_components", [2, hbm.priors.DirichletProcess(0.7)])
def test_predictions_are_means_over_the_draws(n_components):
    post = hbm.sample(TEXTS, model(n_components), n_draws=30, n_warmup=20, n_chains=2, rng=4, diagnostics=False)
    new = np.array([[2, 0, 1], [0, 0, 0], [0, 60, 1]])
    expected = np.zeros((3, 0))
    for c, d in itertools.product(range(2), range(30)):
        z, total = post.labels[c, d], np.full(3, -np.inf)
        log_w = post.log_weights[c, d]
        parts = [(log_w[j], TEXTS[z == j]) for j in range(len(log_w)) if not np.isnan(log_w[j])]
        if not isinstance(n_components, int):
            parts.append((math.log(0.7 / 6.7), TEXTS[:0]))
        for w, rows in parts:
            gain = [log_block(np.vstack([rows, x])) - (log_block(rows) if len(rows) else 0.0) for x in new]
            total = np.logaddexp(total, w + np.array(gain))
        expected = np.column_stack([expected, total])
    expected = np.logaddexp.reduce(expected, axis=1) - math.log(60)
    np.testing.assert_allclose(post.log_predictive(new, coefficient=False), expected, atol=1e-10)
    # one more word, by the chain rule
    longer = post.log_predictive(new[0] + np.eye(3, dtype=int), coefficient=False)
    chain = np.exp(longer - post.log_predictive(new[0], coefficient=False))
    np.testing.assert_allclose(post.predict(counts=new[0]), chain, atol=1e-12)
    # a group of the data: the mean proportions of its component, without counts of its own beside them
    own = post.labels == post.labels[..., :1]
    sums = (own[..., np.newaxis] * TEXTS).sum(axis=2) + PRIOR
    np.testing.assert_allclose(post.predict(0), (sums / sums.sum(axis=-1, keepdims=True)).mean(axis=(0, 1)))
    shares = post.responsibilities(new)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(post.responsibilities().sum(axis=1), 1.0)


def topics(n, n_categories=60, n_topics=6):
    rng = np.random.default_rng(7)
    beta = rng.dirichlet(np.full(n_categories, 0.05), n_topics)
    kinds = rng.integers(n_topics, size=n)
    return np.stack([rng.multinomial(rng.integers(5, 13), beta[z]) for z in kinds]), kinds, beta


@pytest.fixture(scope="module")
def texts():
    return topics(400)


@pytest.mark.parametrize("n_components", [12, hbm.priors.DirichletProcess(1.0)])
def test_topics_are_found(texts, n_components):
    counts, kinds, beta = texts
    post = hbm.sample(scipy.sparse.csr_matrix(counts), model(n_components, 0.1, 60), rng=2, n_draws=100, n_warmup=60)
    found = post.partition()
    share = sum(np.bincount(kinds[found == j]).max() for j in range(found.max() + 1)) / 400
    assert share > 0.97
    assert found.max() < 10
    assert post.disagreement < 0.1
    # draws of beta: those of the summary and those of the array have the means of the component
    table = post.summary()
    rows = [name for name in table if name.startswith("beta[0,")]
    largest = int(rows[0].removeprefix("beta[0,").removesuffix("]"))
    true = beta[np.bincount(kinds[found == 0]).argmax()]
    assert len(rows) == 10
    assert abs(table[rows[0]]["mean"] - true[largest]) < 0.06
    own = post.columns.reshape(4, 100, -1) == 0
    assert abs(post.beta[own][:, largest].mean() - table[rows[0]]["mean"]) < 0.01
    assert np.isposinf(post.alpha[~np.isnan(post.weights)]).all()
    with pytest.raises(ValueError, match=r"component is a posterior of \(alpha, beta\)"):
        post.component(0)


def log_posterior(parameters, counts, n_components, prior, d, multiplicity):
    """Of J logits of weights and J K of proportions, up to terms that do not depend on them."""
    w, beta = parameters[:n_components], parameters[n_components:].reshape(n_components, -1)
    w = w - np.logaddexp.reduce(w)
    beta = beta - np.logaddexp.reduce(beta, axis=1, keepdims=True)
    joint = w + counts @ beta.T
    return multiplicity @ np.logaddexp.reduce(joint, axis=1) + (d - 1.0) * w.sum() + (beta @ prior).sum()


@pytest.mark.parametrize(("d", "weighted"), [(1.0, False), (2.5, True)])
def test_the_fit_is_a_mode(texts, d, weighted):
    counts = texts[0][:80]
    counts[3] *= 30
    multiplicity = np.where(np.arange(80) % 3, 1.0, 2.0) if weighted else np.ones(80)
    prior = np.linspace(0.1, 0.3, 60)
    fit = hbm.fit(
        scipy.sparse.csr_matrix(counts),
        model(4, tuple(prior), 60, weights=d),
        weights=multiplicity if weighted else None,
        rng=1,
    )
    assert fit.converged
    at = np.concatenate([np.log(fit.weights), np.log(fit.beta).ravel()])
    arguments = (counts, 4, prior, d, multiplicity)
    step = 1e-4
    for i in [0, 1, 2, 3, *np.random.default_rng(2).choice(len(at), 40, replace=False).tolist()]:
        more, less = at.copy(), at.copy()
        more[i] += step
        less[i] -= step
        slope = (log_posterior(more, *arguments) - log_posterior(less, *arguments)) / (2 * step)
        assert abs(slope) < 1e-4
    normalizer = math.lgamma(prior.sum()) - sum(map(math.lgamma, prior))
    of_weights = math.lgamma(4 * d) - math.lgamma(4) - 4 * math.lgamma(d)
    coefficient = multiplicity @ [math.lgamma(t.sum() + 1) - sum(math.lgamma(x + 1) for x in t) for t in counts]
    value = log_posterior(at, *arguments) + 4 * normalizer + of_weights + coefficient
    assert fit.log_posterior == pytest.approx(value, abs=1e-7)
    assert fit.log_likelihood == pytest.approx(multiplicity @ fit.score_samples(counts), abs=1e-7)
    np.testing.assert_allclose(fit.responsibilities, fit.predict_proba(counts), atol=1e-9)
    again = hbm.fit(counts, fit.model, weights=multiplicity if weighted else None, start=(fit.weights, fit.beta))
    assert again.log_posterior == pytest.approx(fit.log_posterior, abs=1e-7)


def test_the_fit_of_topics(texts):
    counts, kinds, _ = texts
    mixture = model(12, 0.1, 60)
    fit = hbm.fit(counts, mixture)
    order = np.random.default_rng(3).permutation(400)
    again = hbm.fit(scipy.sparse.csr_matrix(counts[order]), mixture, n_threads=2)
    np.testing.assert_array_equal(again.labels, fit.labels[order])
    assert again.log_posterior == fit.log_posterior
    share = sum(np.bincount(kinds[fit.labels == j]).max() for j in set(fit.labels)) / 400
    assert share > 0.97
    assert fit.outcome == "emptied"  # six components are enough
    assert (np.diff(fit.weights) <= 0).all()
    assert fit.n_parameters == 12 * 60 - 1
    np.testing.assert_array_equal(fit.predict(counts), fit.labels)
    assert np.isposinf(fit.concentration).all()
    assert "alpha inf" in repr(fit)
    assert list(fit.summary())[:2] == ["weight[0]", f"beta[0,{fit.beta[0].argmax()}]"]
    pooled = (counts.sum(axis=0) + 0.1) / (counts.sum() + 6.0)
    difference = np.abs(fit.beta - pooled).sum(axis=0)
    assert fit.contributions()["difference"].iloc[0] == pytest.approx(difference.max())
    for one in (pickle.loads(pickle.dumps(fit)), copy.deepcopy(fit)):
        np.testing.assert_array_equal(one.predict_proba(counts[:5]), fit.predict_proba(counts[:5]))
    for name in ("log_evidence", "standard_error"):
        with pytest.raises(ValueError, match=f"{name} is of finite concentrations"):
            getattr(fit, name)
    with pytest.raises(ValueError, match="is of finite concentrations"):
        fit.interval()
    classes = hbm.fit(counts, model(1, 0.1, 60), labels=kinds)
    assert classes.score(counts, kinds) > 0.97
    assert (classes.cross_validate(3).argmax(axis=1) == kinds).mean() > 0.9


def test_simulated_groups_have_the_proportions_of_their_component():
    sims = hbm.simulate(model(3), 20, n_groups=5, totals=30, rng=1)
    assert np.isposinf(sims.alpha).all()
    own = np.take_along_axis(sims.beta, sims.labels[..., np.newaxis], axis=1)
    np.testing.assert_allclose(sims.theta, own, atol=1e-12)


def test_files(tmp_path):
    pytest.importorskip("h5netcdf")
    post = hbm.sample(scipy.sparse.csr_matrix(TEXTS), model(2), n_draws=20, rng=1, category_names=["a", "b", "c"])
    post.save(tmp_path / "texts.nc")
    again = hbm.MixturePosterior.load(tmp_path / "texts.nc")
    for other in (again, pickle.loads(pickle.dumps(post)), copy.deepcopy(post)):
        np.testing.assert_array_equal(other.labels, post.labels)
        np.testing.assert_array_equal(other.beta, post.beta)
        assert other.model == post.model
        np.testing.assert_array_equal(other.predict(1), post.predict(1))
    assert len(repr(post).splitlines()) <= 10


def test_a_table_without_counts():
    post = hbm.sample(np.zeros((3, 3), int), model(hbm.priors.DirichletProcess(1.0)), n_draws=4000, rng=1)
    for n, p in ((1, 1 / 3), (2, 1 / 2), (3, 1 / 6)):
        assert abs((post.n_components_used == n).mean() - p) < 0.03
    assert hbm.sample(np.zeros((0, 3), int), model(2), n_draws=10, rng=1).responsibilities([[1, 0, 0]]).shape == (1, 2)


def test_bad_input():
    learned, mixture = hbm.priors.Dirichlet(hbm.priors.Exponential(1)), model(2)
    for beta in (learned, hbm.priors.FixedBeta([0.2, 0.3, 0.5])):
        with pytest.raises(ValueError, match=r"alpha=math\.inf needs a Dirichlet prior of beta of known concentration"):
            model(2, beta)
    for function in (hbm.sample, hbm.fit):
        for counts, message in (
            ([[1, -1, 0]], "negative"),
            ([[1, 2]], "K = "),
            ([[2_000_000_000, 0, 0]] * 2, "sum of counts of multinomial components must be at most 2147483647"),
        ):
            with pytest.raises(ValueError, match=message):
                function(counts, mixture)
    with pytest.raises(MemoryError, match="n_draws = 1000000000000 of the mixture takes"):
        hbm.sample(TEXTS, mixture, n_draws=10**12)
    half = [0.5, 0.5]
    square = half, [half, half]
    for call, message in (
        (lambda: hbm.MixtureModel(3, n_components=2, alpha=-math.inf), "must be finite"),
        (lambda: hbm.HierarchicalModel(3, alpha=math.inf), "finite"),
        (lambda: mixture.component, "no HierarchicalModel; pass a finite alpha"),
        (lambda: hbm.fit(TEXTS, model(hbm.priors.DirichletProcess(1.0))), "fixed number of components"),
        (lambda: hbm.fit(np.zeros((2, 3), int), mixture), "every group is empty"),
        (lambda: hbm.fit(TEXTS, model(2, weights=0.5)), "needs weights of at least 1"),
        (lambda: hbm.fit(TEXTS, mixture, prior=GAMMA), "prior is of finite concentrations"),
        (lambda: hbm.fit(TEXTS, mixture, start=square), r"start must be \(weights, proportions\) of shapes"),
        (lambda: hbm.fit(TEXTS, mixture, start=(half, np.full((2, 3), 0.5))), "rows that sum to 1"),
        (
            lambda: hbm.select_components(TEXTS, [1, 2], alpha=math.inf),
            "select_components compares mixtures by criteria of finite",
        ),
        # before anything is drawn
        (lambda: hbm.log_evidence(TEXTS, mixture), "mixture of multinomials"),
        (lambda: hbm.sample(TEXTS, mixture, evidence=True), "mixture of multinomials"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
