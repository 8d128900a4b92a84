"""The posterior of a population of datasets: its parameters, the posterior of each dataset, datasets not seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _display, _random, models, priors
from hbm_fast._optional import import_optional
from hbm_fast._typing import Floats, Key
from hbm_fast.models import HierarchicalModel, PopulationModel
from hbm_fast.posterior import netcdf
from hbm_fast.posterior.new_dataset import NewDataset
from hbm_fast.posterior.posterior import Posterior
from hbm_fast.posterior.summary import Summary, of_draws

_PARAMETERS = ("mu", "tau", "kappa", "m")


@dataclass(frozen=True, eq=False, repr=False)
class Population(_display.Displayed):
    """Draws of the parameters of a population: log alpha_b ~ Normal(mu, tau), beta_b ~ Dirichlet(kappa m).

    Attributes
    ----------
    mu, tau : ndarray (C, D)
        Mean and standard deviation of log alpha over the datasets.
    kappa : ndarray (C, D)
        Concentration of the datasets' mean proportions about m: the larger, the more alike they are.
    m : ndarray (C, D, K)
        Mean proportions of the population.
    category_names : tuple of str (K,) or None
    """

    mu: Floats
    tau: Floats
    kappa: Floats
    m: Floats
    category_names: tuple[str, ...] | None = None

    def summary(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
        """Means, standard deviations, quantiles, effective sample sizes and R-hat of mu, tau, kappa and every m.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        Summary
        """
        chains, n_draws = self.mu.shape
        return of_draws(self._names(), self._draws(), quantiles, f"{chains} x {n_draws} draws of the population")

    def _draws(self) -> Floats:
        single = [value[..., np.newaxis] for value in (self.mu, self.tau, self.kappa)]
        return np.concatenate([*single, self.m], axis=-1)

    def _names(self) -> tuple[str, ...]:
        return ("mu", "tau", "kappa", *(f"m[{name}]" for name in self.category_names or range(self.m.shape[-1])))

    def _rows(self, most: int) -> list[tuple[str, str, str, str]]:
        """Means and 90 % intervals, of the largest m."""
        draws = self._draws().reshape(-1, 3 + self.m.shape[-1])
        mean, names = draws.mean(axis=0), self._names()
        rows = [0, 1, 2, *(3 + np.argsort(-mean[3:], kind="stable")[:most]).tolist()]
        low, high = np.quantile(draws[:, rows], (0.05, 0.95), axis=0)
        return [(names[i], f"{mean[i]:.3g}", f"{a:.3g}", f"{b:.3g}") for i, a, b in zip(rows, low, high, strict=True)]

    def __repr__(self) -> str:
        lines = [f"  {name:<8} {mean} [{low}, {high}]" for name, mean, low, high in self._rows(3)]
        return "\n".join([f"Population: {self.mu.shape[0]} x {self.mu.shape[1]} draws", *lines])


class PopulationPosterior(_display.Displayed):
    """Draws of a population and of (alpha_b, beta_b) of each of its datasets: the result of `sample`.

    ``r[b]`` is the `Posterior` of dataset b, by number or name; ``len(r)`` is B. Its draws are those within the
    population: they use the counts of all datasets.

    Attributes
    ----------
    population : Population
        ``mu``, ``tau``, ``kappa`` (C, D) and ``m`` (C, D, K), with ``summary()``.
    datasets : Posterior
        The posteriors of all datasets as a batch: ``log_alpha`` (B, C, D), ``log_beta`` (B, C, D, K). Its ``model`` has
        the posterior means of mu, tau, kappa and m in place of their draws.
    model : PopulationModel
    details : dict
        Diagnostics and settings of the chains.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> schools = [[[9, 1], [8, 2]], [[5, 5], [6, 4], [4, 6]], [[2, 8]]]
    >>> r = hbm.sample(schools, hbm.PopulationModel(2), rng=1, diagnostics=False)
    >>> r.population.m.shape, len(r), r[2].predict(0).shape
    ((4, 1000, 2), 3, (2,))
    """

    def __init__(
        self,
        population: Population,
        datasets: Posterior,
        *,
        model: PopulationModel,
        details: Mapping[str, Any] | None = None,
        key: Key | None = None,
    ) -> None:
        self.population = population
        self.datasets = datasets
        self.model = model
        self.details = dict(details or {})
        self._key = _random.key(None) if key is None else key

    @property
    def category_names(self) -> tuple[str, ...] | None:
        """K different names, or None."""
        return self.datasets.category_names

    @property
    def dataset_names(self) -> tuple[str, ...] | None:
        """B different names, usable in place of the datasets' indices, or None."""
        return self.datasets.dataset_names

    @property
    def n_categories(self) -> int:
        """K."""
        return self.model.n_categories

    def __len__(self) -> int:
        return len(self.datasets)

    def __getitem__(self, index: int | str | slice) -> Posterior:
        return self.datasets[index]

    def __iter__(self) -> Iterator[Posterior]:
        return iter(self.datasets)

    def __repr__(self) -> str:
        names = _display.names(self.dataset_names)
        head = f"PopulationPosterior: {len(self)} datasets{names}, {self.n_categories} categories"
        first, *lines = repr(self.population).split("\n")
        return "\n".join([f"{head};{first.removeprefix('Population:')}", *lines])

    def _repr_html_(self) -> str:
        caption = f"PopulationPosterior: {len(self)} datasets{_display.names(self.dataset_names)}"
        return _display.table(caption, ("", "mean", "5%", "95%"), self.population._rows(10))

    def new_dataset(self) -> NewDataset:
        """A dataset of the same population that is not among the data: its (alpha, beta) has no counts yet.

        It integrates over all draws of mu, tau, kappa and m. ``hbm.sample(table, r.new_dataset())`` draws its posterior
        given a table; `NewDataset.predict` and `NewDataset.log_predictive` sum over weighted draws.
        """
        p, k = self.population, self.n_categories
        mu, tau, kappa = (value.reshape(-1) for value in (p.mu, p.tau, p.kappa))
        return NewDataset(mu, tau, kappa, p.m.reshape(-1, k), category_names=self.category_names, key=self._key)

    def log_predictive(self, new_table: Any, *, coefficient: bool = True, return_ess: bool = False) -> Any:
        """Log probability of a whole new dataset (N, K) from the same population: `NewDataset.log_predictive`."""
        return self.new_dataset().log_predictive(new_table, coefficient=coefficient, return_ess=return_ess)

    # files ------------------------------------------------------------------------------------------------------------
    def to_arviz(self) -> Any:
        """What the installed ArviZ takes: mu, tau, kappa, m and, with a dimension dataset, alpha and beta.

        Raises
        ------
        ImportError
            Without the extra ``report``.
        """
        return netcdf.for_arviz(self._tree())

    def _tree(self) -> Any:
        tree = netcdf.to_datatree(self.datasets)
        xarray = import_optional("xarray", "report")
        draw, p = ("chain", "draw"), self.population
        variables: dict[str, Any] = {name: (draw, getattr(p, name)) for name in ("mu", "tau", "kappa")}
        added = xarray.Dataset(variables | {"m": ((*draw, "category"), p.m)})
        posterior = tree["posterior"].to_dataset()
        tree["posterior"] = xarray.DataTree(posterior.merge(added).assign_attrs(posterior.attrs))
        return tree

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a netCDF file, which ArviZ opens too; ``load`` gives the same draws.

        Raises
        ------
        ValueError, OSError, ImportError
            As `Posterior.save`.
        """
        netcdf.check_target(path)
        own = {"key": ("word", self._key), "datasets": ("dataset_number", self.datasets._datasets)}
        metadata = {
            "class": "PopulationPosterior",
            "model": models.to_dict(self.model),
            "method": self.datasets.method,
            "details": {name: netcdf.plain(value) for name, value in self.details.items()},
            "category_names": self.category_names,
            "group_names": self.datasets.group_names,
            "dataset_names": self.dataset_names,
            **netcdf.VERSIONS,
        }
        netcdf.write(self._tree(), path, metadata, own)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "PopulationPosterior":
        """Read a file that ``save`` wrote.

        Raises
        ------
        ValueError, OSError, ImportError
            As `Posterior.load`.
        """
        return netcdf.guarded(path, lambda: _loaded(path))


def _loaded(path: str | PathLike[str]) -> PopulationPosterior:
    metadata, groups = netcdf.read(path)
    netcdf.check_class(path, metadata, "PopulationPosterior")
    drawn, key = groups["posterior"], groups[netcdf.OWN]["key"]
    model = models.from_dict(metadata["model"])
    names = {name: metadata[name] for name in ("category_names", "group_names", "dataset_names")}
    result = assemble(
        {name: drawn[name] for name in _PARAMETERS},
        drawn["log_alpha"],
        drawn["log_beta"],
        model=model,
        counts=groups["observed_data"]["counts"],
        method=metadata["method"],
        details=metadata["details"],
        key=key,
        **names,
    )
    result.datasets = result.datasets._replace(_datasets=groups[netcdf.OWN]["datasets"])
    return result


def assemble(
    population: dict[str, Floats],
    log_alpha: Floats,
    log_beta: Floats,
    *,
    model: PopulationModel,
    counts: NDArray[Any],
    method: str,
    details: dict[str, Any],
    key: Key,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    dataset_names: Sequence[str] | None = None,
) -> PopulationPosterior:
    """The result from mu, tau, kappa (C, D), m (C, D, K), log alpha (B, C, D) and log beta (B, C, D, K)."""
    datasets = Posterior(
        log_alpha,
        log_beta,
        model=plug_in(**{name: value.mean(axis=(0, 1)) for name, value in population.items()}),
        counts=counts,
        method=method,
        key=key,
        category_names=category_names,
        group_names=group_names,
        dataset_names=dataset_names,
    )
    found = Population(**population, category_names=datasets.category_names)
    return PopulationPosterior(found, datasets, model=model, details=details, key=key)


def plug_in(mu: ArrayLike, tau: ArrayLike, kappa: ArrayLike, m: ArrayLike) -> HierarchicalModel:
    """The hierarchical model of a dataset whose population is known."""
    beta = np.maximum(np.asarray(kappa) * np.asarray(m), 1e-300)
    alpha = priors.LogNormal(float(np.asarray(mu)), float(np.asarray(tau)))
    return HierarchicalModel(beta.size, alpha=alpha, beta=priors.Dirichlet(beta.tolist()))
