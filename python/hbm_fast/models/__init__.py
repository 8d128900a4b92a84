"""Descriptions of models, without computation."""

from hbm_fast.models.hierarchical import HierarchicalModel

__all__ = ["HierarchicalModel"]
