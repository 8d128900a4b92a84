"""LatentModel: what the embeddings of either kind have in common."""

import copy
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from hbm_fast.nn.estimator import TrainedNetwork


class LatentModel(TrainedNetwork):
    """A learned model z -> theta, whose network has K categories and a z of length ``dim``."""

    noun: ClassVar[str] = "embedding"
    shipped: ClassVar[Path] = Path(__file__).parent / "checkpoints"

    @property
    def identity(self) -> dict[str, str]:
        return {"kind": "embedding"}

    @property
    def n_categories(self) -> int:
        """K."""
        return int(self.network.n_categories)

    @property
    def dim(self) -> int:
        """Length of z."""
        return int(self.network.dim)

    @cached_property
    def exact(self) -> Any:
        """The same network in float64: for quadrature, the mode and importance weights."""
        return copy.deepcopy(self.network).double().eval().requires_grad_(False)
