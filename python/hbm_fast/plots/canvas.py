"""What the plots add to matplotlib's classes: a figure that every notebook shows, and plain ticks of a log axis."""

import io
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib import ticker


class Figure(matplotlib.figure.Figure):
    """A figure outside of pyplot, which a notebook shows once, with and without ``%matplotlib inline``.

    Examples
    --------
    >>> from hbm_fast.plots.canvas import Figure
    >>> image, size = Figure(figsize=(3.0, 2.0), dpi=100)._repr_png_()
    >>> size
    {'width': 300}
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=2.0 * self.dpi)  # sharp on screens of two pixels a point
        return buffer.getvalue(), {"width": round(self.bbox.width)}  # a page that is narrower keeps the aspect


class LogTicks(ticker.LogLocator):
    """At most six ticks, fewer on a narrow axis: powers of ten, also multiples of them, else round numbers."""

    def __init__(self, characters: int) -> None:
        """For an axis of so many characters."""
        super().__init__()
        self._characters = characters

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """Ticks between the two ends."""
        low, high = sorted((vmin, vmax))
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        for multiples in ([1.0], [1.0, 3.0], [1.0, 2.0, 5.0]):
            ticks = np.outer(decades, multiples).ravel()
            ticks = ticks[(ticks >= low) & (ticks <= high)]
            if ticks.size > 2:
                break
        else:
            ticks = np.array(ticker.MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high))
            ticks = ticks[(ticks >= low) & (ticks <= high)]
        longest = max((len(plain(tick)) for tick in ticks), default=0)
        most = min(6, max(2, self._characters // (longest + 3)))
        thinned: list[float] = ticks[:: max(1, -(-ticks.size // most))].tolist()
        return thinned


def plain(value: float, position: Any = None) -> str:
    """A number without an exponent from 0.0001 to 99,999: 0.001, 10; else as 1e-6."""
    return f"{value:.5g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
