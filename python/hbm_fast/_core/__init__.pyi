"""
The compiled kernels of hbm_fast, one submodule a concept; the package is their interface.
"""
from __future__ import annotations
from . import config
from . import priors
from . import likelihood
from . import statistics
from . import simulation
from . import mcmc
from . import population
from . import prediction
from . import networks
__all__: list[str] = ['config', 'likelihood', 'mcmc', 'networks', 'population', 'prediction', 'priors', 'simulation', 'statistics']
