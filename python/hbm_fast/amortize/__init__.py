"""Amortized inference: networks trained on simulated datasets that infer (alpha, beta) in microseconds, with importance
weights against the exact likelihood.

Needs torch and safetensors (``pip install 'hbm-fast[amortize]'``).
"""

from hbm_fast._optional import missing_extra

try:
    from hbm_fast.amortize.estimator import Estimator, load
    from hbm_fast.amortize.train import train
    from hbm_fast.nn.training import TrainingOptions
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("torch", "amortize") from error

__all__ = ["Estimator", "TrainingOptions", "load", "train"]
