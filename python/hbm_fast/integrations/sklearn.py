"""`DirichletMultinomialMixture`: a mixture as an estimator of scikit-learn, for its pipelines and grid searches."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hbm_fast import priors
from hbm_fast._optional import missing_extra
from hbm_fast._typing import Floats
from hbm_fast.fitting import fit as _fit
from hbm_fast.models import MixtureModel

try:
    from sklearn.base import BaseEstimator, DensityMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise missing_extra("sklearn", "sklearn") from None

__all__ = ["DirichletMultinomialMixture"]

_GAMMA = priors.Gamma(0.1, rate=0.1)


class DirichletMultinomialMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A finite mixture of Dirichlet-multinomials, fitted by the mode of its posterior.

    The search is that of `hbm_fast.fit` with a `MixtureModel`; scikit-learn's pipelines, grid searches and cross
    validation take the estimator as they take ``GaussianMixture``.

    Parameters
    ----------
    n_components : int, default 1
        J.
    prior : Gamma or Exponential, optional
        Independent prior of every concentration; None: ``Gamma(0.1, rate=0.1)``.
    n_starts : int, default 10
        Starts of the search.
    random_state : int or RandomState, optional
        Seed of the search. None: a hash of the sorted rows, so that the same counts give the same result in any order
        of their rows.

    Attributes
    ----------
    weights_ : float64 array (J,)
        In decreasing order.
    concentration_ : float64 array (J, K)
    converged_ : bool
        Whether the parameters are a mode up to rounding.
    result_ : MixtureFit
        Standard errors, log evidence and responsibilities.
    n_features_in_ : int
        K.
    feature_names_in_ : array of str (K,)
        Where `fit` was given a data frame.

    References
    ----------
    Holmes, Harris & Quince (2012), PLoS ONE 7:e30126, doi:10.1371/journal.pone.0030126.

    Examples
    --------
    >>> from hbm_fast.integrations.sklearn import DirichletMultinomialMixture
    >>> bags = [[20, 1], [19, 2], [18, 1], [21, 2], [2, 20], [1, 19], [3, 22]]
    >>> mixture = DirichletMultinomialMixture(n_components=2).fit(bags)
    >>> mixture.predict(bags).tolist()
    [0, 0, 0, 0, 1, 1, 1]
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        prior: priors.Gamma | priors.Exponential | None = None,
        n_starts: int = 10,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.prior = prior
        self.n_starts = n_starts
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array_like, data frame or scipy.sparse of whole numbers, shape (N, K)
        y : ignored

        Returns
        -------
        DirichletMultinomialMixture
            This object.

        Raises
        ------
        ValueError
            Counts that are negative, fractional or missing, fewer than two categories, or not one count at all.

        Warns
        -----
        ConvergenceWarning
            Where the search stopped short of a maximum.
        """
        counts = self._counts(X, reset=True)
        model = MixtureModel(self.n_features_in_, n_components=self.n_components)
        seed = None if self.random_state is None else int(check_random_state(self.random_state).randint(2**31 - 1))
        result = _fit(
            counts,
            model,
            prior=_GAMMA if self.prior is None else self.prior,
            n_starts=self.n_starts,
            category_names=getattr(self, "feature_names_in_", None),
            rng=seed,
        )
        self.result_ = result
        self.weights_, self.concentration_, self.converged_ = result.weights, result.concentration, result.converged
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The most probable component of each group (N,)."""
        check_is_fitted(self)
        return self.result_.predict(self._counts(X))

    def predict_proba(self, X: Any) -> Floats:
        """Probability of each component for each group (N, J)."""
        check_is_fitted(self)
        return self.result_.predict_proba(self._counts(X))

    def score_samples(self, X: Any) -> Floats:
        """Log likelihood of each group (N,), with its multinomial coefficient."""
        check_is_fitted(self)
        return self.result_.score_samples(self._counts(X))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log likelihood of the groups."""
        return float(self.score_samples(X).mean())

    def aic(self, X: Any) -> float:
        """Akaike's information criterion ``2 k - 2 log L`` for the groups, with ``k = J K + J - 1``."""
        return float(2.0 * self.result_.n_parameters - 2.0 * self.score_samples(X).sum())

    def bic(self, X: Any) -> float:
        """Bayesian information criterion ``k log N - 2 log L`` for the groups, with ``k = J K + J - 1``."""
        values = self.score_samples(X)
        return float(self.result_.n_parameters * np.log(len(values)) - 2.0 * values.sum())

    def _counts(self, X: Any, *, reset: bool = False) -> Any:
        at_least = 2 if reset else 1
        return validate_data(
            self, X, accept_sparse="csr", reset=reset, ensure_min_features=at_least, ensure_non_negative=True
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.positive_only = True
        return tags
