"""Network: what the networks here are as modules of torch, for `torch.export`, ONNX and other devices."""

from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Network(nn.Module):
    """A module whose q(. | x) is a density with the parameters ``forward(features)``.

    So `torch.export` and ONNX take it. A network that computes q in several steps leaves ``forward`` and
    ``encoder_input`` out, and stays on the CPU.
    """

    title: ClassVar[str] = "this network"  # in messages

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encoder_input(self, counts: NDArray[Any]) -> Tensor:
        """Features (B, F) float32 of counts (B, N, K), on the CPU."""
        self.check_forward("features")
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """Parameters of q, (B, F) -> (B, P)."""
        self.check_forward("forward")
        raise NotImplementedError

    def check_forward(self, method: str) -> None:
        """NotImplementedError where q is not one function of features; it names the ``method``."""
        if type(self).forward is Network.forward:
            raise NotImplementedError(
                f"{method} is for top-down and any-k networks and for embeddings with shared='bag'; {self.title} is "
                "not one function of features"
            )
