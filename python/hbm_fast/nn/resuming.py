"""What a training may go on from: the checks of ``resume=`` and ``init_from=``, for every network here."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from hbm_fast._random import key as new_key
from hbm_fast._typing import Key, RNGLike
from hbm_fast.nn.checkpoint import compare


def defaults(network: type[nn.Module]) -> dict[str, Any]:
    """The settings of a network and their default values."""
    parameters = inspect.signature(network).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """The named arguments of a function that takes further ones, and their default values."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}


def take_weights(network: nn.Module, start: nn.Module, asked: str, given: str) -> None:
    """Give the network of a new training the weights of an earlier one.

    Parameters
    ----------
    network, start : nn.Module
        What is filled, and from what.
    asked, given : str
        What each was built for, for the message.

    Raises
    ------
    ValueError
        Where they are of different architectures.
    """
    weights = start.state_dict()
    compare(network.state_dict(), weights, f"init_from: the arguments ({asked})", given)
    network.load_state_dict(weights)


def check_same(name: str, trained: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to go on with a training for anything but what it was for: its figures would be of something else.

    Parameters
    ----------
    name : str
        Of the network, for the message.
    trained, asked : dict
        The network's model, ranges and settings, and those given, by name; what is not given is not compared.

    Raises
    ------
    ValueError
        With what differs, of both.
    """
    # JSON has lists for tuples
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in trained.items()}
    differ = [key for key in asked if asked[key] != plain[key]]
    if differ:
        was, came = (", ".join(f"{key}={values[key]!r}" for key in differ) for values in (plain, asked))
        raise ValueError(
            f"resume: {name} was trained for {was}; got {came}. To go on, leave out what differs. "
            "To start from its weights: init_from="
        )


def stored_key(name: str, training: dict[str, Any], rng: RNGLike) -> Key:
    """The key of a training that goes on, whose stream continues; an ``rng`` of another key is ignored with a warning.

    Raises
    ------
    ValueError
        Where no key was stored.
    """
    if "key" not in training:
        raise ValueError(f"resume: {name} was saved without the key of its stream")
    key = np.array([int(word) for word in training["key"]], dtype=np.uint64)
    if rng is not None and not np.array_equal(new_key(rng), key):
        warnings.warn(
            "rng is ignored: resume= goes on with the random numbers of the training that it resumes",
            UserWarning,
            stacklevel=3,
        )
    return key
