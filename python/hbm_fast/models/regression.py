"""The Dirichlet-multinomial regression model: a frozen description without computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hbm_fast import priors
from hbm_fast._display import Displayed
from hbm_fast._validate import positive_int

Prior = TypeVar("Prior", priors.Normal, priors.HalfNormal)


@dataclass(frozen=True, repr=False)
class RegressionModel(Displayed):
    """Mean proportions and precision that depend on covariates.

    With ``link="softmax"`` group n has mean proportions ``softmax(x_n B)`` and precision ``A_n = exp(z_n g)``, so that
    its counts are Dirichlet-multinomial with concentration ``A_n softmax(x_n B)``. The column of B of the reference
    category is zero. With ``link="log"`` the concentrations are ``exp(x_n B)``, and no category is a reference. With
    two categories the model is beta-binomial regression.

    Parameters
    ----------
    n_categories : int
        K, at least 2.
    mean : str, default ``"~ 1"``
        Formula of the covariates x of the mean proportions, in the grammar of formulaic. ``offset(t)`` in it adds t to
        the linear predictor of every category but the reference.
    precision : str, default ``"~ 1"``
        Formula of the covariates z of the log precision; ``offset(t)`` adds t.
    reference : int, str or None, default -1
        The reference category, by its index or its name. None: coefficients that sum to zero over the categories.
    link : ``"softmax"`` or ``"log"``
    random_intercept : str, optional
        The column whose values are subjects: each has a normal random intercept for every category but the reference
        (with ``link="log"`` for every category), which makes the groups of one subject more alike than others.
    shared_scale : bool, default False
        Whether the random intercepts of all categories have one standard deviation.
    coefficients, precision_coefficients : Normal, default ``priors.Normal(0, 2)``
        Prior of each coefficient. With the softmax it is that of the coefficients that sum to zero over the categories,
        so that the reference changes no posterior.
    random_scale : HalfNormal, default ``priors.HalfNormal(1)``
        Prior of the standard deviations of random intercepts.

    Raises
    ------
    TypeError, ValueError
        For anything else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.RegressionModel(3, mean="~ age + group")
    RegressionModel(3, mean='~ age + group', precision='~ 1', reference=-1, link='softmax')
    """

    n_categories: int
    mean: str
    precision: str
    reference: int | str | None
    link: Literal["softmax", "log"]
    random_intercept: str | None
    shared_scale: bool
    coefficients: priors.Normal
    precision_coefficients: priors.Normal
    random_scale: priors.HalfNormal

    def __init__(
        self,
        n_categories: int,
        mean: str = "~ 1",
        *,
        precision: str = "~ 1",
        reference: int | str | None = -1,
        link: Literal["softmax", "log"] = "softmax",
        random_intercept: str | None = None,
        shared_scale: bool = False,
        coefficients: priors.Normal | None = None,
        precision_coefficients: priors.Normal | None = None,
        random_scale: priors.HalfNormal | None = None,
    ) -> None:
        if link not in ("softmax", "log"):
            raise ValueError(f"link must be 'softmax' or 'log'; got {link!r}")
        if link == "log" and precision != "~ 1":
            raise ValueError(
                "precision is for link='softmax': with link='log' the covariates of mean change it already"
            )
        given: dict[str, Any] = {
            "n_categories": positive_int(n_categories, "n_categories", minimum=2),
            "mean": _formula(mean, "mean"),
            "precision": _formula(precision, "precision"),
            "reference": _reference(reference, n_categories),
            "link": link,
            "random_intercept": _optional_name(random_intercept),
            "shared_scale": bool(shared_scale),
            "coefficients": _prior(coefficients, priors.Normal(0.0, 2.0), "coefficients"),
            "precision_coefficients": _prior(precision_coefficients, priors.Normal(0.0, 2.0), "precision_coefficients"),
            "random_scale": _prior(random_scale, priors.HalfNormal(1.0), "random_scale"),
        }
        if link == "softmax" and given["coefficients"].mu != 0.0:
            raise ValueError(
                "coefficients must have mean 0 with link='softmax': they sum to zero over the categories; "
                f"got {coefficients!r}"
            )
        if random_intercept is not None and link == "softmax" and reference is None:
            raise ValueError(
                "random_intercept is for each category but the reference: pass reference=-1 or another category"
            )
        if shared_scale and random_intercept is None:
            raise ValueError("shared_scale=True is for models with random_intercept, the column of the subjects")
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = f"mean={self.mean!r}, precision={self.precision!r}, reference={self.reference!r}, link={self.link!r}"
        if self.random_intercept is not None:
            shown += f", random_intercept={self.random_intercept!r}"
            shown += ", shared_scale=True" if self.shared_scale else ""
        return f"RegressionModel({self.n_categories}, {shown})"

    def reference_index(self, category_names: Sequence[str] | None = None) -> int | None:
        """The column of the reference category; None where there is none.

        Parameters
        ----------
        category_names : sequence of K str, optional
            The names among which a reference by name is looked up.

        Returns
        -------
        int or None

        Raises
        ------
        ValueError
            For a name that is not among them.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.RegressionModel(3).reference_index()
        2
        """
        if self.reference is None or self.link == "log":
            return None
        if not isinstance(self.reference, str):
            return self.reference % self.n_categories
        if category_names is None:
            raise ValueError(f"reference={self.reference!r} needs the names of the categories; pass its index instead")
        if self.reference not in category_names:
            known = ", ".join(map(repr, category_names[:10]))
            raise ValueError(f"reference must be one of the categories {known}; got {self.reference!r}")
        return list(category_names).index(self.reference)


def _formula(value: str, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a formula such as '~ age + group'; got {value!r}. For an array: design=")
    left, tilde, right = value.partition("~")
    if left.strip() or not tilde or not right.strip():
        raise ValueError(f"{name} must be a formula with its covariates after '~', such as '~ age'; got {value!r}")
    return f"~ {right.strip()}"


def _reference(value: int | str | None, n_categories: int) -> int | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"reference must be the index or the name of a category, or None; got {value!r}")
    if not -n_categories <= value < n_categories:
        raise ValueError(f"reference must be the index of one of {n_categories} categories; got {value}")
    return value


def _optional_name(value: str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"random_intercept must be the name of a column of data; got {value!r}")
    return value


def _prior(value: Prior | None, default: Prior, name: str) -> Prior:
    if value is None:
        return default
    if not isinstance(value, type(default)):
        raise TypeError(f"{name} must be a priors.{type(default).__name__}; got {value!r}")
    return value
