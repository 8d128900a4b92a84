"""Conversion of ``rng`` (SPEC 7) to the 128-bit key of a random stream."""

import numpy as np

from hbm_fast._typing import Key, RNGLike


def key(rng: RNGLike | Key) -> Key:
    """The key of a random stream, two uint64 words.

    The same seed gives the same key; a Generator is advanced and gives a new one each time. A key is returned as it is,
    so that a stored stream can be continued.
    """
    if isinstance(rng, np.ndarray):
        if rng.dtype != np.uint64 or rng.shape != (2,):
            raise TypeError(f"a key must be an array of two uint64 words; got shape {rng.shape}, dtype {rng.dtype}")
        return rng.copy()
    if isinstance(rng, bool):
        raise TypeError("rng must be None, an int, a SeedSequence, a BitGenerator or a Generator; got a bool")
    if isinstance(rng, np.random.RandomState) or not (
        rng is None
        or isinstance(rng, int | np.integer | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator)
    ):
        raise TypeError(
            "rng must be None, an int, a SeedSequence, a BitGenerator or a Generator; "
            f"got {type(rng).__name__}. For a legacy seed pass the int itself."
        )
    if isinstance(rng, int | np.integer) and rng < 0:
        raise ValueError(f"rng must be a non-negative integer; got {rng}")
    generator = np.random.default_rng(rng)
    return generator.integers(0, 2**64, size=2, dtype=np.uint64)
