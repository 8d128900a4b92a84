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
from . import mixture
from . import population
from . import prediction
from . import networks
from . import regression
__all__: list[str] = ['config', 'likelihood', 'mcmc', 'mixture', 'networks', 'population', 'prediction', 'priors', 'regression', 'simulation', 'statistics']
