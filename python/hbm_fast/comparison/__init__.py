"""Which hypothesis the data favour: models of the same counts, and groups of several conditions."""

from hbm_fast.comparison.groups import GroupComparison, compare_groups
from hbm_fast.comparison.models import ModelRanking, compare_models

__all__ = ["GroupComparison", "ModelRanking", "compare_groups", "compare_models"]
