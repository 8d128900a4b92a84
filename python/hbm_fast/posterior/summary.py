"""The table of ``Posterior.summary``: means, quantiles, and how accurate the draws make them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _display, _memory, _validate, _weighted, errors
from hbm_fast._optional import import_optional
from hbm_fast._typing import Floats
from hbm_fast.posterior import convergence, diagnostics

if TYPE_CHECKING:
    from hbm_fast.posterior.posterior import Posterior

_MIN_WEIGHTED_ESS = 100.0
_MOST_ROWS = 40  # that are printed


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Mapping[Any, dict[str, float]]):
    """The result of ``Posterior.summary``: a mapping from each parameter to its numbers, printed as a table.

    Attributes
    ----------
    names : tuple
        The rows: ``"alpha"``, ``"log_alpha"``, ``"beta_concentration"`` where it is learned, ``"beta[...]"`` with the
        name or the number of each category; of a batch pairs of the name or the number of the dataset and one of these.
    columns : dict of str to ndarray
        ``"mean"``, ``"sd"``, quantiles such as ``"5%"``; for MCMC ``"mcse"`` (of one dataset), ``"ess_bulk"``,
        ``"ess_tail"`` and ``"r_hat"``; for weighted draws ``"mcse"`` and ``"ess"``.
    note : str
        The method, the number of draws, and how many R-hat exceed their limit.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> summary = hbm.exact_posterior([[[3, 0]], [[0, 4]]], dataset_names=["Ada", "Ben"]).summary()
    >>> len(summary), round(summary["Ben", "beta[1]"]["mean"], 4)
    (8, 0.7139)
    """

    names: tuple[Any, ...]
    columns: dict[str, Floats]
    note: str

    def __getitem__(self, name: Any) -> dict[str, float]:
        """One row."""
        row = self._rows.get(name)
        if row is None:
            shown = ", ".join(map(str, self.names[:4]))
            raise KeyError(f"{name!r} is none of the rows {shown} ...")
        return {column: float(values[row]) for column, values in self.columns.items()}

    @cached_property
    def _rows(self) -> dict[Any, int]:
        return {name: row for row, name in enumerate(self.names)}

    def __iter__(self) -> Iterator[Any]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def to_frame(self) -> Any:
        """A pandas DataFrame with the parameters as its index, of a batch the datasets and the parameters.

        Raises
        ------
        ImportError
            Without pandas, which the extra ``report`` installs.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> frame = hbm.exact_posterior([[0, 1]]).summary().to_frame()
        >>> float(frame.loc["beta[1]", "mean"].round(4))
        0.6667
        """
        pandas = import_optional("pandas", "report")
        if self.names and isinstance(self.names[0], tuple):
            index = pandas.MultiIndex.from_tuples(self.names, names=["dataset", "parameter"])
        else:
            index = pandas.Index(self.names, name="parameter")
        return pandas.DataFrame(self.columns, index=index)

    def __repr__(self) -> str:
        """At most ten lines; ``print`` shows up to 40 rows."""
        return self._text(8, 5, 2)

    def __str__(self) -> str:
        return self._text(_MOST_ROWS, _MOST_ROWS // 2, _MOST_ROWS // 4)

    def _repr_html_(self) -> str:
        rows = [
            (_label(name), *cells)
            for name, *cells in zip(
                self.names[:_MOST_ROWS],
                *([cell(column, value) for value in values[:_MOST_ROWS]] for column, values in self.columns.items()),
                strict=True,
            )
        ]
        more = f"; the first {_MOST_ROWS} of {len(self)} rows" if len(self) > _MOST_ROWS else ""
        return _display.table(self.note + more, ("", *self.columns), rows)

    def _text(self, most: int, first: int, last: int) -> str:
        """The rows, or where there are more than ``most`` the first and the last."""
        shown = list(range(len(self)))
        if len(shown) > most:
            shown = [*shown[:first], *shown[-last:]]
        labels = {i: _label(self.names[i]) for i in shown}
        width = max(map(len, labels.values()))
        lines = [" " * width + "".join(f"{column:>11}" for column in self.columns)]
        for position, i in enumerate(shown):
            if position and i != shown[position - 1] + 1:
                lines.append(f"... {i - shown[position - 1] - 1} rows ...")
            cells = "".join(f"{cell(column, values[i]):>11}" for column, values in self.columns.items())
            lines.append(f"{labels[i]:<{width}}{cells}")
        return "\n".join([*lines, self.note])


def _label(name: Any) -> str:
    """The name of a row, of a batch that of its dataset and of its parameter."""
    return " ".join(_display.one_line(str(part)) for part in (name if isinstance(name, tuple) else (name,)))


def of_draws(names: Sequence[str], draws: Floats, quantiles: Sequence[float], note: str, *, ddof: int = 0) -> Summary:
    """The summary of chains (C, D, P) of P parameters, with the convergence diagnostics of each."""
    levels = _validate.probabilities(quantiles, "quantiles").ravel()
    flat = draws.reshape(-1, draws.shape[-1])
    columns = {"mean": flat.mean(axis=0), "sd": flat.std(axis=0, ddof=ddof)}
    columns |= zip((f"{100 * q:g}%" for q in levels), np.quantile(flat, levels, axis=0), strict=True)
    return Summary(tuple(names), columns | diagnostics.diagnostics(draws), note)


def summarise(post: "Posterior", quantiles: Sequence[float]) -> Summary:
    """The summary of one posterior or of a batch; see ``Posterior.summary``."""
    batch = post.log_alpha.ndim == 3
    labels = _display.labels(post.category_names, post.n_categories)
    single = ("alpha", "log_alpha", *post._learned)
    parameters = (*single, *(f"beta[{label}]" for label in labels))
    datasets: Sequence[Any] = post.dataset_names or range(len(post) if batch else 1)
    names = tuple((dataset, name) for dataset in datasets for name in parameters) if batch else parameters
    levels = _validate.probabilities(quantiles, "quantiles").ravel()

    def column(function: Callable[[str], Any]) -> Floats:
        """Of each parameter in the order of ``names``, behind the axes of ``quantiles``."""
        parts = []
        for name in (*single, "beta"):
            values = np.asarray(function(name))
            parts.append(values if name == "beta" else values[..., np.newaxis])
        joined = np.concatenate(parts, axis=-1)
        return joined.reshape(*joined.shape[:-2], len(names)) if batch else joined

    columns = {"mean": column(post.mean), "sd": column(post.sd)}
    columns |= zip((f"{100 * q:g}%" for q in levels), column(lambda name: post.quantile(name, levels)), strict=True)
    if post.moments is not None:
        note = (
            f"{len(post)} datasets, by quadrature" if batch else f"by quadrature; log evidence {post.log_evidence:.4f}"
        )
        return Summary(names, columns, note)
    n_draws = post.n_chains * post.n_draws
    method = f", method {post.method}"
    if post.log_weights is not None:
        ess = _weighted.effective_size(post.log_weights.reshape(len(datasets), -1))
        columns["mcse"] = column(lambda name: _weighted_error(post, name))
        columns["ess"] = np.repeat(ess, len(parameters))
        _warn_of_weights(ess, n_draws, datasets if batch else ())
        return Summary(names, columns, f"{n_draws} weighted draws{' of each dataset' * batch}{method}")
    found = _diagnostics_of_batch(post) if batch else _diagnostics(post)
    table = {name: values.reshape(len(datasets), -1) for name, values in found.items()}
    # without alpha, whose ranks are those of log alpha
    r_hat, ess = (values[:, 1:] for values in (table["r_hat"], np.fmin(table["ess_bulk"], table["ess_tail"])))
    if not post._checked:
        message = convergence.message(
            parameters[1:], r_hat, ess, post.n_chains, post.n_draws, datasets=datasets if batch else None
        )
        if message is not None:
            errors.warn(message, errors.ConvergenceWarning)
    note = f"{post.n_chains} x {post.n_draws} draws{' of each dataset' * batch}{method}"
    if post.n_chains > 1 and post.n_draws >= convergence.FEWEST_DRAWS:
        limit = convergence.r_hat_limit(post.n_draws)
        note += f"; R-hat of {(r_hat > limit).sum()} of {r_hat.size} parameters above {limit:.4g}"
    return Summary(names, columns | {name: values.ravel() for name, values in table.items()}, note)


def _diagnostics(post: "Posterior") -> dict[str, Floats]:
    single = [getattr(post, name)[..., np.newaxis] for name in ("alpha", "log_alpha", *post._learned)]
    draws = np.concatenate([*single, post.beta], axis=-1)
    return diagnostics.diagnostics(draws)


def _diagnostics_of_batch(post: "Posterior") -> dict[str, Floats]:
    """R-hat and effective sample sizes of each parameter of `summarise` (B, 2 + K or more), some datasets in one step.

    alpha has the ranks of log alpha, and of two categories one has those of the other, reversed.
    """
    n_datasets, k = len(post), post.n_categories
    n_single = 2 + len(post._learned)
    result = {name: np.empty((n_datasets, n_single + k)) for name in ("ess_bulk", "ess_tail", "r_hat")}
    for part in _memory.chunks(n_datasets, post.log_beta[0].size):
        log_alpha, log_beta = (np.moveaxis(values[part], 0, 2) for values in (post.log_alpha, post.log_beta))
        of_log_alpha, of_alpha = diagnostics.of_pair(log_alpha, np.exp(log_alpha))
        beta = np.exp(log_beta)
        if k == 2:
            pair = diagnostics.of_pair(beta[..., 0], beta[..., 1])
            of_beta = {name: np.stack([found[name] for found in pair], axis=-1) for name in result}
        else:
            of_beta = diagnostics.diagnostics(beta, mcse=False)
        for name, values in result.items():
            values[part, 0], values[part, 1], values[part, n_single:] = (
                of_alpha[name],
                of_log_alpha[name],
                of_beta[name],
            )
        for column, learned in enumerate(post._learned, start=2):
            found = diagnostics.diagnostics(np.moveaxis(getattr(post, learned)[part], 0, 2), mcse=False)
            for name, values in result.items():
                values[part, column] = found[name]
    return result


def cell(column: str, value: float | None) -> str:
    """A number of a summary as text, by the name of its column: whole effective sizes, R-hat with three decimals."""
    if value is None or np.isnan(value):
        return "-"
    if column.lower().startswith("ess"):
        return f"{value:.0f}"
    return f"{value:.3f}" if column in ("R-hat", "r_hat") else f"{value:.4g}"


def _weighted_error(post: "Posterior", name: str) -> Floats:
    """Standard error of the self-normalised weighted mean of a parameter, shaped as the mean."""
    assert post.log_weights is not None
    mean, values = np.asarray(post.mean(name)), getattr(post, name)
    axes = (-2, -1)
    weights = np.exp(post.log_weights)
    if name == "beta":
        axes, weights = (-3, -2), weights[..., np.newaxis]
    centred = values - np.expand_dims(mean, axes)
    return np.asarray(np.sqrt((weights**2 * centred**2).sum(axis=axes)))


def _warn_of_weights(ess: Floats, n_draws: int, datasets: Sequence[Any]) -> None:
    """ConvergenceWarning where a few draws hold most of the weight."""
    few = ess < _MIN_WEIGHTED_ESS
    if few.any():
        where = f" (dataset {datasets[int(ess.argmin())]}; of {few.sum()} datasets below 100)" if datasets else ""
        errors.warn(
            f"the importance weights leave {ess.min():.1f} effective draws of {n_draws}{where}: "
            "draw more (n_draws), or use hbm.sample",
            errors.ConvergenceWarning,
        )
