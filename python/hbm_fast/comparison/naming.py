"""Warnings with the name of what they are about, where one call computes the same for several."""

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hbm_fast import errors

P = ParamSpec("P")
T = TypeVar("T")


def named(name: str, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """What the function returns; its warnings are given once each, with the name in front."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*arguments, **options)
    for text, category in {str(one.message): one.category for one in caught}.items():
        errors.warn(f"{name}: {text}", category)
    return result
