"""Integrals over (alpha, beta) for two categories by deterministic quadrature: numbers only, no draws are kept."""

from hbm_fast.quadrature.quadrature import Quadrature, QuadratureBatch

__all__ = ["Quadrature", "QuadratureBatch"]
