from hbm_fast._optional import missing_extra

"""The learned embedding: a model z -> theta that finds by itself what (alpha, beta) say, the note's second question.

    z ~ N(0, I),   theta_n ~ Dirichlet(f(z)),   x_n ~ Multinomial(theta_n)

Needs torch and safetensors (``pip install 'hbm-fast[amortize]'``).
"""


try:
    from hbm_fast.embedding.comparison import Gap, Referee
    from hbm_fast.embedding.estimator import Embedding, load
    from hbm_fast.embedding.posterior import EmbeddingPosterior
    from hbm_fast.embedding.train import train
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("torch", "amortize") from error

__all__ = ["Embedding", "EmbeddingPosterior", "Gap", "Referee", "load", "train"]
