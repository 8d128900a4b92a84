"""Types of arguments and arrays that several modules share."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[Any]  # of any integer type
CountsLike: TypeAlias = Any  # what `hbm_fast.tables.as_counts` takes
Key: TypeAlias = NDArray[np.uint64]  # (2,): a 128-bit key of random streams
RNGLike: TypeAlias = np.random.Generator | np.random.BitGenerator | np.random.SeedSequence | int | np.integer | None
