"""Tails of Stirling's series at 8 or more, of arrays of any library: operators alone compute them."""

from typing import Any


def log_gamma_tail(z: Any) -> Any:
    """Of log gamma (DLMF 5.11.1)."""
    r = 1 / z
    q = r * r
    return r * (
        1 / 12 - q * (1 / 360 - q * (1 / 1260 - q * (1 / 1680 - q * (1 / 1188 - q * (691 / 360360 - q / 156)))))
    )


def trigamma_tail(z: Any) -> Any:
    """Of trigamma (DLMF 5.15.8)."""
    r = 1 / z
    q = r * r
    return r * q * (1 / 6 - q * (1 / 30 - q * (1 / 42 - q * (1 / 30 - q * (5 / 66 - q * (691 / 2730 - q * (7 / 6)))))))
