"""Colours of categories and posteriors: those that the names are, then a palette that colour-blind people can read."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from hbm_fast._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito 2008, Color Universal Design, https://jfly.uni-koeln.de/color/, with wine and indigo of Tol 2021, Colour
# schemes, https://sronpersonalpages.nl/~pault/, for their yellow, pale on white, and their black, the colour of text.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#332288")
# Categories with these names have the palette's shade of the colour; with other names of CSS, the colour itself.
_SHADES = {
    "blue": "#0072B2",
    "red": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "orange": "#E69F00",
    "yellow": "#F0E442",
}
_LEAST_CONTRAST = 1.6  # of a colour with the background; below it there is an outline


def colors_of(
    names: Sequence[str],
    colors: Mapping[Any, Any] | None,
    *,
    known: Sequence[str] = (),
    other: Sequence[Any] = PALETTE,
) -> tuple[Any, ...]:
    """A colour for each name: the caller's, else that of the name, else the next of ``other`` that is not taken.

    ``known`` are further names that ``colors`` may hold.

    Raises
    ------
    TypeError
        Where ``colors`` is no mapping.
    ValueError
        For a name that is not drawn, or a value that is no colour of matplotlib.

    Examples
    --------
    >>> from hbm_fast.plots.colors import colors_of
    >>> colors_of(["white", "green", "striped"], {"striped": "purple"})
    ('#FFFFFF', '#009E73', 'purple')
    """
    matplotlib_colors = import_optional("matplotlib.colors", "report")
    if not isinstance(colors, Mapping | None):
        raise TypeError(f"colors must be a mapping from names to colours; got {type(colors).__name__}")
    chosen = {str(name): value for name, value in (colors or {}).items()}
    for name, value in chosen.items():
        if name not in names and name not in known:
            raise ValueError(f"colors holds {name!r}, which is none of the names: {', '.join((known or names)[:8])}")
        if not matplotlib_colors.is_color_like(value):
            raise ValueError(f"colors[{name!r}] must be a colour of matplotlib; got {value!r}")
    for name in names:
        word = name.strip().lower()
        shade = _SHADES.get(word, matplotlib_colors.CSS4_COLORS.get(word))
        if shade is not None:
            chosen.setdefault(name, shade)
    taken = [chosen.get(name) for name in names]
    rest = cycle([color for color in other if color not in taken] or other)
    return tuple(chosen[name] if name in chosen else next(rest) for name in names)


def text_color() -> str:
    """The colour of text in the current style of matplotlib: dark on a light page, light on a dark one."""
    return str(import_optional("matplotlib", "report").rcParams["text.color"])


def outline(axes: "Axes", color: Any, width: float) -> list[Any] | None:
    """Path effects that put a grey edge around a line of a colour too near to the background, as white on white."""
    if _contrast(color, axes.get_facecolor()) >= _LEAST_CONTRAST:
        return None
    effects = import_optional("matplotlib.patheffects", "report")
    return [effects.withStroke(linewidth=width + 1.6, foreground="0.5")]


def _contrast(color: Any, background: Any) -> float:
    """The contrast ratio of two colours, from 1 to 21 (Web Content Accessibility Guidelines 2.2)."""
    to_rgb = import_optional("matplotlib.colors", "report").to_rgb

    def luminance(value: Any) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(value)]
        return float(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))

    darker, lighter = sorted((luminance(color), luminance(background)))
    return float((lighter + 0.05) / (darker + 0.05))
