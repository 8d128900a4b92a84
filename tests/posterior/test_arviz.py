"""to_arviz gives what the installed ArviZ takes: its functions run on it, and agree with the posterior."""

import importlib.metadata
import warnings

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.integrations.arviz import to_datatree

pytest.importorskip("xarray")


@pytest.fixture(scope="module")
def az():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ 0.23 announces its next version when it is imported
        return pytest.importorskip("arviz")


@pytest.fixture(scope="module")
def post():
    return hbm.sample(hbm.datasets.load_pollen(), n_draws=500, rng=1)


@pytest.mark.filterwarnings("ignore")  # of ArviZ and matplotlib themselves
def test_arviz_takes_it(az, post):
    data = post.to_arviz(log_likelihood=True)
    summary = az.summary(data, var_names=["alpha", "beta"], round_to="none")
    row = summary.loc["alpha"]
    assert row["mean"] == pytest.approx(post.mean("alpha"), rel=1e-12)
    assert row["r_hat"] == pytest.approx(post.summary()["alpha"]["r_hat"], rel=1e-6)
    assert row["ess_bulk"] == pytest.approx(post.summary()["alpha"]["ess_bulk"], rel=1e-6)
    assert f"beta[{post.category_names[0]}]" in summary.index
    loo = az.loo(data)
    assert loo.n_data_points == 73
    # the leave-one-out predictive density is below the density of the data under the whole posterior
    elpd = loo.elpd_loo if hasattr(loo, "elpd_loo") else loo.elpd  # before ArviZ 1.0, and since
    assert elpd < post.log_predictive(post.counts).sum()


@pytest.mark.filterwarnings("ignore")
def test_arviz_plots_it(az, post):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    az.plot_trace(post.to_arviz(), var_names=["alpha", "beta"])
    assert sum(len(panel.lines) > 0 for panel in pyplot.gcf().axes) >= 4
    pyplot.close("all")


@pytest.mark.filterwarnings("ignore")
def test_batches_and_embeddings(az):
    batch = hbm.exact_posterior(np.arange(12).reshape(2, 3, 2), n_draws=100, rng=1, dataset_names=["Ada", "Ben"])
    data = batch.to_arviz(theta=True, posterior_predictive=True)
    assert data["posterior"]["alpha"].dims == ("dataset", "chain", "draw")
    assert data["posterior"]["alpha"].sel(dataset="Ben").shape == (1, 100)
    assert data["posterior_predictive"]["counts"].shape == (2, 1, 100, 3, 2)
    assert "alpha[Ada]" in az.summary(data).index


def test_the_version_decides(post, monkeypatch):
    xarray = pytest.importorskip("xarray")
    installed = importlib.metadata.version

    def version(name):
        return stated if name == "arviz" else installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    stated = "1.0.0"
    assert isinstance(post.to_arviz(), xarray.DataTree)
    assert sorted(post.to_arviz().children) == sorted(to_datatree(post).children)

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert isinstance(post.to_arviz(), xarray.DataTree)


def test_groups_that_are_not_there():
    pytest.importorskip("xarray")
    none = hbm.exact_posterior(np.zeros((0, 2), np.int64), n_draws=100, rng=1)
    tree = to_datatree(none, theta=True, posterior_predictive=True)
    assert tree["posterior"]["theta"].shape == tree["posterior_predictive"]["counts"].shape == (1, 100, 0, 2)
    draws = hbm.Posterior(none.log_alpha, none.log_beta, model=none.model)
    with pytest.raises(ValueError, match="has no counts"):
        to_datatree(draws, theta=True)
