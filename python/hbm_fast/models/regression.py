"""The Dirichlet-multinomial regression model: a frozen description without computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hbm_fast import priors
from hbm_fast._validate import positive_int

Prior = TypeVar("Prior", priors.Normal, priors.HalfNormal)


@dataclass(frozen=True, repr=False)
class RegressionModel:
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
        The column whose values are subjects: each has a normal random intercept for every category but the reference.
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
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = f"mean={self.mean!r}, precision={self.precision!r}, reference={self.reference!r}, link={self.link!r}"
        if self.random_intercept is not None:
            shown += f", random_intercept={self.random_intercept!r}"
        return f"RegressionModel({self.n_categories}, {shown})"


def reference_index(model: RegressionModel, category_names: Sequence[str]) -> int | None:
    """The column of the reference category; None where there is none."""
    if model.reference is None or model.link == "log":
        return None
    if isinstance(model.reference, str):
        if model.reference not in category_names:
            known = ", ".join(map(repr, category_names[:10]))
            raise ValueError(f"reference must be one of the categories {known}; got {model.reference!r}")
        return list(category_names).index(model.reference)
    return model.reference % model.n_categories


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
