"""The posterior of one dataset or of many: draws, what follows from them, files."""

from hbm_fast.posterior.posterior import Group, Moments, Posterior, Summary

__all__ = ["Group", "Moments", "Posterior", "Summary"]
