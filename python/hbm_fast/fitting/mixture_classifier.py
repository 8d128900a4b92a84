"""fit(counts, MixtureModel, labels=known): one mixture for the groups of each class, which together classify groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _display, _validate
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.fitting.mixture import fit_mixture, multiplicities, table_of
from hbm_fast.fitting.mixture_result import MixtureFit
from hbm_fast.models import MixtureModel
from hbm_fast.tables.named_counts import NamedCounts

_ONE_BY_ONE, _FOLDS = 100, 10  # groups at most with a fold each; folds of more groups
_MOST_LINES = 8


@dataclass(frozen=True, eq=False, repr=False)
class MixtureClassifier(_display.Displayed):
    """The result of `fit` with a `MixtureModel` and known labels: a mixture for each class.

    A new group's class has the posterior probability that Bayes' rule gives from the likelihood of each class's mixture
    and the class's share of the groups.

    Parameters
    ----------
    classes : tuple of str
        In the order in which sorting puts them.
    fits : tuple of MixtureFit
        One a class.
    class_weights : float64 array (classes,)
        Share of each class in the groups.

    References
    ----------
    ``dmngroup`` and ``cvdmngroup`` of the R package DirichletMultinomial, doi:10.18129/B9.bioc.DirichletMultinomial.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags, kinds = [[20, 0], [18, 1], [9, 11], [10, 10]], ["pure", "pure", "mixed", "mixed"]
    >>> found = hbm.fit(bags, hbm.MixtureModel(2, n_components=1), labels=kinds)
    >>> found.predict([[19, 0], [8, 8]]).tolist()
    ['pure', 'mixed']
    """

    classes: tuple[str, ...]
    fits: tuple[MixtureFit, ...]
    class_weights: Floats
    _counts: NamedCounts = field(kw_only=True)
    _classes: NDArray[np.int64] = field(kw_only=True)
    _weights: Floats | None = field(kw_only=True)
    _options: dict[str, Any] = field(kw_only=True)

    def __repr__(self) -> str:
        names = _display.names(self.fits[0].category_names)
        k = self.fits[0].concentration.shape[1]
        lines = [f"MixtureClassifier: {len(self._classes)} groups, {k} categories{names}"]
        for name, weight, fit in list(zip(self.classes, self.class_weights, self.fits, strict=True))[:_MOST_LINES]:
            shown = f"{fit.n_groups:g} groups, {fit.n_components} components, laplace {fit.laplace:.4f}"
            lines.append(f"  {name[:40]}: share {weight:.3g}, {shown}; {fit.message}")
        if len(self.classes) > _MOST_LINES:
            lines.append(f"  and {len(self.classes) - _MOST_LINES} further classes")
        return "\n".join(lines)

    def __getitem__(self, name: str) -> MixtureFit:
        """The mixture of a class."""
        if name not in self.classes:
            raise KeyError(f"{name!r} is none of the classes {', '.join(self.classes[:8])}")
        return self.fits[self.classes.index(name)]

    def predict(self, counts: CountsLike) -> NDArray[Any]:
        """The most probable class of new groups.

        Parameters
        ----------
        counts : array_like (N, K) or a table
            Columns with names are matched to the fit's.

        Returns
        -------
        array of str (N,)

        Raises
        ------
        TypeError, ValueError
            For counts of another K or other categories.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> model = hbm.MixtureModel(2, n_components=1)
        >>> hbm.fit([[9, 0], [8, 1], [4, 5], [5, 5]], model, labels=[0, 0, 1, 1]).predict([[9, 0]]).tolist()
        ['0']
        """
        return self._named(self._log_joint(counts))

    def predict_proba(self, counts: CountsLike) -> Floats:
        """Probability of each class for new groups; arguments and errors as in `predict`.

        Returns
        -------
        float64 array (N, classes)

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> model = hbm.MixtureModel(2, n_components=1)
        >>> hbm.fit([[9, 0], [8, 1], [4, 5], [5, 5]], model, labels=[0, 0, 1, 1]).predict_proba([[9, 0]]).shape
        (1, 2)
        """
        return _probabilities(self._log_joint(counts))

    def score(self, counts: CountsLike, labels: Sequence[Any]) -> float:
        """Share of new groups whose class is predicted rightly, as scikit-learn's classifiers.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags, kinds = [[9, 0], [8, 1], [4, 5], [5, 5]], ["pure", "pure", "mixed", "mixed"]
        >>> hbm.fit(bags, hbm.MixtureModel(2, n_components=1), labels=kinds).score(bags, kinds)
        1.0
        """
        predicted = self.predict(counts)
        return float((predicted == np.array(class_names(labels, len(predicted)))).mean())

    def cross_validate(self, n_folds: int | None = None, *, rng: RNGLike = 0) -> Floats:
        """Probability of each class for the fitted groups, by mixtures that have not seen the group.

        Every fold has about the same share of each class. A class's mixture without the groups of a fold starts from
        the mixture of all its groups.

        Parameters
        ----------
        n_folds : int, optional
            Default one fold a group, for 100 groups at most, else 10.
        rng : None, int, SeedSequence, BitGenerator or Generator
            Seed of the folds.

        Returns
        -------
        float64 array (N, classes)

        Raises
        ------
        ValueError
            For fewer than two folds or more than groups, or where a fold leaves a class without counts.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags, kinds = [[9, 0], [8, 1]] * 3 + [[4, 5], [5, 5]] * 3, ["pure"] * 6 + ["mixed"] * 6
        >>> found = hbm.fit(bags, hbm.MixtureModel(2, n_components=1), labels=kinds)
        >>> found.cross_validate().argmax(axis=1).tolist()
        [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
        """
        n = len(self._classes)
        if n_folds is None:
            n_folds = n if n <= _ONE_BY_ONE else _FOLDS
        n_folds = _validate.positive_int(n_folds, "n_folds", minimum=2, maximum=n)
        shuffled = np.random.default_rng(new_key(rng)).permutation(n)
        fold = np.empty(n, np.int64)
        fold[shuffled[np.argsort(self._classes[shuffled], kind="stable")]] = np.arange(n) % n_folds
        joint = np.empty((n, len(self.classes)))
        for f in range(n_folds):
            out = fold == f
            for c, fit in enumerate(self.fits):
                kept = (self._classes == c) & ~out
                if not self._filled(kept):
                    raise ValueError(
                        f"without a fold class {self.classes[c]!r} has no counts: pass a larger n_folds than {n_folds}"
                    )
                one = fit if kept.sum() == (self._classes == c).sum() else self._refitted(fit, kept)
                share = np.log(self._share(kept) / self._share(~out))
                joint[out, c] = share + one.score_samples(self._counts.counts[np.flatnonzero(out)])
        return _probabilities(joint)

    def _refitted(self, fit: MixtureFit, kept: NDArray[np.bool_]) -> MixtureFit:
        part = _rows(self._counts, kept)
        weights = None if self._weights is None else self._weights[kept]
        start = (fit.weights, fit.beta if fit.model.is_multinomial else fit.concentration)
        return fit_mixture(part, fit.model, prior=fit.prior, weights=weights, start=start, **self._options)

    def _share(self, rows: NDArray[np.bool_]) -> float:
        return float(rows.sum() if self._weights is None else self._weights[rows].sum())

    def _filled(self, rows: NDArray[np.bool_]) -> bool:
        weighted = rows if self._weights is None else rows & (self._weights > 0.0)
        return bool(self._counts.counts[np.flatnonzero(weighted)].sum() > 0)

    def _log_joint(self, counts: CountsLike) -> Floats:
        columns = [fit.score_samples(counts) for fit in self.fits]
        return np.asarray(np.log(self.class_weights) + np.stack(columns, axis=1))

    def _named(self, joint: Floats) -> NDArray[Any]:
        return np.asarray(np.array(self.classes)[joint.argmax(axis=1)])


def fit_classes(
    counts: CountsLike,
    model: MixtureModel,
    labels: Sequence[Any],
    *,
    weights: ArrayLike | None,
    category_names: Sequence[str] | None,
    group_names: Sequence[str] | None = None,
    layer: str | None,
    rng: RNGLike = None,
    **options: Any,
) -> MixtureClassifier:
    """A mixture of the groups of each class; arguments as of `fit`."""
    if "start" in options:
        raise ValueError("start is for one mixture; leave it out with labels, which make one mixture a class")
    given = table_of(counts, layer, category_names, group_names)
    if _validate.is_sparse(given.counts):
        given = replace(given, counts=given.counts.tocsr())
    names = np.array(class_names(labels, given.counts.shape[0]))
    multiplicity = multiplicities(given, weights)
    classes, index = np.unique(names, return_inverse=True)
    fits, shares = [], []
    words = None if rng is None else new_key(rng).tolist()
    for c, name in enumerate(classes.tolist()):
        rows = index == c
        part = None if multiplicity is None else multiplicity[rows]
        seed = None if words is None else np.random.SeedSequence([*words, c])
        try:
            fits.append(fit_mixture(_rows(given, rows), model, weights=part, rng=seed, **options))
        except ValueError as error:
            raise ValueError(f"class {name!r}: {error}") from error
        shares.append(rows.sum() if part is None else part.sum())
    kept: dict[str, Any] = {name: options[name] for name in ("max_iterations", "n_threads") if name in options}
    return MixtureClassifier(
        classes=tuple(classes.tolist()),
        fits=tuple(fits),
        class_weights=np.array(shares, np.float64) / np.sum(shares),
        _counts=replace(given, weights=None),
        _classes=index.astype(np.int64),
        _weights=multiplicity,
        _options=kept,
    )


def class_names(labels: Any, n: int) -> list[str]:
    """N labels as str; a missing one is an error."""
    if isinstance(labels, str | bytes) or not hasattr(labels, "__len__"):
        raise TypeError(f"labels must be a sequence of N names; got {type(labels).__name__}")
    _validate.no_masked(labels, "labels")
    values = list(labels)
    if len(values) != n:
        raise ValueError(f"labels must hold {n} names, one a group; got {len(values)}")
    for i, value in enumerate(values):
        if value is None or type(value).__name__ == "NAType" or value != value:  # NaN
            raise ValueError(f"labels must name the class of every group; that of group {i} is missing")
    return [str(value) for value in values]


def _rows(given: NamedCounts, rows: NDArray[np.bool_]) -> NamedCounts:
    index = np.flatnonzero(rows)
    names = given.group_names
    return replace(
        given,
        counts=given.counts[index],
        group_names=None if names is None else tuple(names[i] for i in index),
        weights=None,
    )


def _probabilities(joint: Floats) -> Floats:
    return np.asarray(np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, np.newaxis]))
