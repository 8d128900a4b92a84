"""The posterior of one dataset or of many: draws, summaries, theta and predictions of groups, files."""

from hbm_fast.posterior.new_dataset import NewDataset
from hbm_fast.posterior.population import Population, PopulationPosterior
from hbm_fast.posterior.posterior import Group, Posterior
from hbm_fast.posterior.summary import Summary

__all__ = ["Group", "NewDataset", "Population", "PopulationPosterior", "Posterior", "Summary"]
