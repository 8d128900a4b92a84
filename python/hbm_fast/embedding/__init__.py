"""The learned embedding: a model z -> theta without (alpha, beta), for the second question of Le (2020).

    z ~ N(0, I),   theta_n ~ Dirichlet(f(z)),   x_n ~ Multinomial(theta_n)

`Embedding` has a theta for each bag n, `DatasetEmbedding` one theta for all bags of a dataset.

Needs torch and safetensors (``pip install 'hbm-fast[amortize]'``).
"""

from typing import Any

from hbm_fast import errors
from hbm_fast._optional import missing_extra

try:
    from hbm_fast.embedding.comparison import Gap, ModelComparison
    from hbm_fast.embedding.dataset_estimator import DatasetEmbedding
    from hbm_fast.embedding.dataset_posterior import DatasetPosterior
    from hbm_fast.embedding.estimator import Embedding
    from hbm_fast.embedding.loading import load
    from hbm_fast.embedding.posterior import EmbeddingPosterior
    from hbm_fast.embedding.train import train
    from hbm_fast.nn.training import TrainingOptions
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("torch", "amortize") from error

__all__ = [
    "DatasetEmbedding",
    "DatasetPosterior",
    "Embedding",
    "EmbeddingPosterior",
    "Gap",
    "ModelComparison",
    "TrainingOptions",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "Referee":
        errors.warn("hbm_fast.embedding.Referee is deprecated: use ModelComparison", DeprecationWarning)
        return ModelComparison
    raise AttributeError(f"module 'hbm_fast.embedding' has no attribute {name!r}")
