"""Posteriors as InferenceData (ArviZ below 1.0), xarray DataTrees and netCDF files, for ArviZ."""

from hbm_fast.posterior.netcdf import load, save, to_arviz, to_datatree

__all__ = ["load", "save", "to_arviz", "to_datatree"]
