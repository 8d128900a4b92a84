"""The posterior of one dataset or of many: draws, summaries, theta and predictions of groups, files."""

from hbm_fast.posterior.loo import LeaveOneOut
from hbm_fast.posterior.mixture import MixturePosterior
from hbm_fast.posterior.multinomial_mixture import MultinomialMixturePosterior
from hbm_fast.posterior.posterior import Group, Posterior
from hbm_fast.posterior.regression import RegressionPosterior
from hbm_fast.posterior.summary import Summary

__all__ = [
    "Group",
    "LeaveOneOut",
    "MixturePosterior",
    "MultinomialMixturePosterior",
    "Posterior",
    "RegressionPosterior",
    "Summary",
]
