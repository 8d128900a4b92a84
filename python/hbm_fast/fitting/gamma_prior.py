"""The independent prior of every concentration that `fit` takes."""

from hbm_fast import priors


def independent_gamma(prior: priors.Gamma | priors.Exponential | None, advice: str) -> priors.Gamma | None:
    """The prior as a gamma; for another one an error that ends with the advice."""
    if prior is None or isinstance(prior, priors.Gamma):
        return prior
    if isinstance(prior, priors.Exponential):
        return priors.Gamma(1.0, rate=prior.rate)
    raise TypeError(f"prior must be priors.Gamma, priors.Exponential or None; got {prior!r}. {advice}")
