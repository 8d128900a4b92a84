"""Posteriors as xarray DataTrees and netCDF files, for ArviZ."""

from hbm_fast.posterior.netcdf import load, save, to_datatree

__all__ = ["load", "save", "to_datatree"]
