"""The posterior of one dataset or of many: draws, summaries, theta and predictions of groups, files."""

from hbm_fast.posterior.loo import LeaveOneOut
from hbm_fast.posterior.mixture import MixturePosterior
from hbm_fast.posterior.multinomial_mixture import MultinomialMixturePosterior
from hbm_fast.posterior.new_dataset import NewDataset
from hbm_fast.posterior.population import Population, PopulationPosterior
from hbm_fast.posterior.posterior import Group, Posterior
from hbm_fast.posterior.regression import RegressionPosterior
from hbm_fast.posterior.summary import Summary

__all__ = [
    "Group",
    "LeaveOneOut",
    "MixturePosterior",
    "MultinomialMixturePosterior",
    "NewDataset",
    "Population",
    "PopulationPosterior",
    "Posterior",
    "RegressionPosterior",
    "Summary",
]
