from hbm_fast._optional import missing_extra

"""Amortized inference: networks trained on the simulator's endless stream that infer (alpha, beta) in microseconds, and
correct themselves against the exact likelihood.

Needs torch and safetensors (``pip install 'hbm-fast[amortize]'``).
"""


try:
    from hbm_fast.amortize.estimator import Estimator
    from hbm_fast.amortize.loading import load
    from hbm_fast.amortize.train import train
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("torch", "amortize") from error

__all__ = ["Estimator", "load", "train"]
