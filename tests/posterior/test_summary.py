"""Summaries are mappings and tables; those of a batch equal those of its datasets."""

import warnings
from collections.abc import Mapping

import numpy as np
import pytest

import hbm_fast as hbm


def draws(n_datasets, n_categories, shape=(4, 300), **changes):
    rng = np.random.default_rng([n_datasets, n_categories])
    log_alpha = rng.normal(size=(n_datasets, *shape))
    log_beta = np.log(rng.dirichlet(np.ones(n_categories), (n_datasets, *shape)))
    return hbm.Posterior(log_alpha, log_beta, model=hbm.HierarchicalModel(n_categories), **changes)


def kinds(n_datasets=4, k=2):
    yield draws(n_datasets, k)
    yield draws(n_datasets, k, (1, 100))
    yield draws(n_datasets, k, (2, 3))
    yield draws(n_datasets, k, log_weights=np.random.default_rng(1).normal(size=(n_datasets, 4, 300)))
    if k == 2:
        yield hbm.exact_posterior(np.arange(n_datasets * 6).reshape(n_datasets, 3, 2), rng=0)


@pytest.mark.parametrize("k", [2, 3])
def test_a_batch_s_summary_is_that_of_its_datasets(k):
    for post in kinds(k=k):
        batch = post.rename(dataset_names=["a", "b", "c", "d"]).summary(quantiles=[0.1, 0.5])
        assert list(batch)[: k + 2] == [("a", name) for name in post[0].summary()]
        for b, dataset in enumerate("abcd"):
            one = post[b].summary(quantiles=[0.1, 0.5])
            for name, row in one.items():
                for column, value in batch[dataset, name].items():
                    np.testing.assert_allclose(value, row[column], rtol=1e-9, err_msg=f"{dataset} {name} {column}")


def test_a_batch_s_summary_without_quantiles():
    batch = hbm.exact_posterior([[[3, 0]], [[0, 4]]], rng=0)
    assert list(batch.summary(()).columns) == ["mean", "sd"]


def test_a_summary_is_a_mapping_and_a_table():
    pandas = pytest.importorskip("pandas")
    post = draws(1, 3)[0].rename(category_names=["x", "y", "z"])
    summary = post.summary()
    assert isinstance(summary, Mapping)
    assert list(summary) == ["alpha", "log_alpha", "beta[x]", "beta[y]", "beta[z]"]
    assert dict(summary)["beta[y]"] == summary["beta[y]"]
    assert len(summary) == 5
    assert "beta[w]" not in summary
    with pytest.raises(KeyError, match="none of the rows"):
        summary["beta[w]"]
    frame = summary.to_frame()
    assert frame.loc["beta[y]", "mean"] == post.mean("beta")[1]
    assert frame.index.name == "parameter"
    pandas.testing.assert_frame_equal(post.to_frame().set_index("parameter"), frame)


def test_frames_of_batches():
    pytest.importorskip("pandas")
    counts = np.random.default_rng(1).multinomial(20, [0.3, 0.7], (3, 6))
    post = hbm.sample(counts, n_draws=200, rng=1, dataset_names=["Ada", "Ben", "Cai"], category_names=["x", "y"])
    frame = post.to_frame()
    columns = ["dataset", "parameter", "mean", "sd", "5%", "50%", "95%", "ess_bulk", "ess_tail", "r_hat"]
    assert list(frame.columns) == columns
    assert frame.dataset.unique().tolist() == ["Ada", "Ben", "Cai"]
    row = frame[(frame.dataset == "Ben") & (frame.parameter == "beta[y]")].iloc[0]
    assert row["5%"] == post["Ben"].quantile("beta", 0.05)[1]
    assert row["r_hat"] == pytest.approx(post["Ben"].diagnostics("beta")["r_hat"][1], rel=1e-9)
    assert list(post.to_frame(quantiles=[0.25]).columns[4:5]) == ["25%"]
    unnamed = hbm.exact_posterior(counts).to_frame()
    assert unnamed.dataset.unique().tolist() == [0, 1, 2]


def test_how_many_r_hat_exceed_their_limit():
    rng = np.random.default_rng(5)
    log_alpha, log_beta = rng.normal(size=(4, 1000)), np.log(rng.dirichlet(np.ones(50), (4, 1000)))
    post = hbm.Posterior(log_alpha, log_beta, model=hbm.HierarchicalModel(50))
    assert str(post.summary()).endswith("R-hat of 0 of 51 parameters above 1.01")
    log_beta = log_beta + 0.3 * rng.normal(size=(4, 1, 50))  # chains apart
    log_beta -= np.log(np.exp(log_beta).sum(axis=-1, keepdims=True))
    apart = hbm.Posterior(log_alpha, log_beta, model=hbm.HierarchicalModel(50))
    with pytest.warns(hbm.ConvergenceWarning, match=r"R-hat of \d+ of 51 parameters above 1.01, the largest 1\.\d+"):
        text = str(apart.summary())
    r_hat = np.append(apart.diagnostics("beta")["r_hat"], apart.diagnostics("log_alpha")["r_hat"])
    assert text.endswith(f"R-hat of {(r_hat > 1.01).sum()} of 51 parameters above 1.01")


def test_one_warning_about_a_batch():
    good = draws(5, 3)
    shift = np.array([0.0, 0.0, 2.0, 1.0, 0.0])[:, np.newaxis, np.newaxis] * np.arange(4)[:, np.newaxis]
    apart = hbm.Posterior(good.log_alpha + shift, good.log_beta, model=good.model, dataset_names=list("abcde"))
    with pytest.warns(hbm.ConvergenceWarning, match="2 of 5 datasets .* the worst, dataset c: R-hat of") as caught:
        apart.summary()
    assert len(caught) == 1
    heavy = hbm.Posterior(
        good.log_alpha,
        good.log_beta,
        model=good.model,
        log_weights=good.log_alpha * np.arange(5.0).reshape(5, 1, 1) * 3,
    )
    with pytest.warns(hbm.ConvergenceWarning, match=r"dataset 4; of \d datasets below 100"):
        heavy.summary()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        good.summary()


@pytest.mark.parametrize("n_draws", [50, 40_000])
def test_the_card_has_a_learned_concentration(n_draws):
    rng = np.random.default_rng(1)
    shape = (2, n_draws)
    log_beta = np.log(rng.dirichlet(np.ones(20), shape))  # of the second kind some draws are shown
    concentration = rng.gamma(100.0, 0.01, shape)
    model = hbm.HierarchicalModel(20, beta=hbm.priors.Dirichlet(hbm.priors.Exponential(1)))
    post = hbm.Posterior(rng.normal(size=shape), log_beta, model=model, latent={"beta_concentration": concentration})
    lines = repr(post).splitlines()
    assert len(lines) <= 10
    assert lines[2].split()[0] == "beta_concentration"
    assert float(lines[2].split()[1]) == pytest.approx(1.0, abs=0.05)
    assert "beta_concentration" in post._repr_html_()


def test_long_names_and_line_breaks_keep_the_lines():
    names = ["first\nsecond\nthird", "k__Bacteria; p__Firmicutes; c__Clostridia; o__Clostridiales; f__A; g__B"]
    post = hbm.exact_posterior([[3, 1], [0, 4]], category_names=names, group_names=["a\nb", "c"])
    fitted = hbm.fit([[3, 1], [0, 4], [2, 2]], category_names=names)
    for shown in (post, fitted, post.summary()):
        lines = repr(shown).splitlines()
        assert len(lines) <= 10
        assert max(map(len, lines)) <= 200
        assert any("first second third" in line for line in lines)
    assert post.summary()[f"beta[{names[0]}]"]["mean"] > 0
