"""One self-contained HTML page from sections of text, figures and tables, light and dark."""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_PIXELS = 110  # of an inch of a figure, where the page is wide enough
_LARGEST_SVG = 250_000  # bytes: a figure of more points is smaller as pixels
_PHONE = 5.5  # inches: a wider figure is not readable at the width of a phone, where it scrolls in its own box
_PHONE_COLUMNS = 4
_FONT = {"font.size": 11.0}  # points: as large as the text of the page, and 11 pixels on a phone


@dataclass(frozen=True)
class Section:
    """A heading, a caption, a figure or a table, notes; ``chapter`` opens a new part of the page."""

    title: str
    caption: str
    draw: Callable[[], "Figure"] | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    chapter: str = ""


def render(sections: Iterable[Section], title: str, introduction: str) -> str:
    """The whole page; ``introduction`` is HTML."""
    import matplotlib

    parts, chapters = [], []
    for number, section in enumerate(sections):
        if section.chapter:
            chapters.append((f"part-{number}", section.chapter))
            parts.append(f'<h2 class="chapter" id="part-{number}">{html.escape(section.chapter)}</h2>')
        parts.append(_html(section, matplotlib))
    links = " · ".join(f'<a href="#{anchor}">{html.escape(name)}</a>' for anchor, name in chapters)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = _PAGE.replace("{title}", html.escape(title)).replace("{introduction}", introduction)
    return page.replace("{made}", made).replace("{links}", links).replace("{body}", "\n".join(parts))


def _html(section: Section, matplotlib: Any) -> str:
    parts = [f"<section><h3>{html.escape(section.title)}</h3>", f"<p>{html.escape(section.caption)}</p>"]
    if section.draw is not None:
        light, inches = _image(section.draw, matplotlib, {"savefig.facecolor": "#ffffff"} | _FONT)
        dark, _ = _image(section.draw, matplotlib, _dark())
        scrolled = ' class="wide scrolled"' if inches > _PHONE else ""
        alt = html.escape(f"{section.title}: {section.caption}")
        parts.append(
            f'<div{scrolled}><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img src="{light}" style="width: {inches * _PIXELS:.0f}px" alt="{alt}"></picture></div>'
        )
    if section.rows:
        head = "".join(f"<th>{html.escape(c)}</th>" for c in section.columns)
        rows = "".join("<tr>" + "".join(f"<td>{_cell(c)}</td>" for c in row) + "</tr>" for row in section.rows)
        scrolled = " scrolled" if len(section.columns) > _PHONE_COLUMNS else ""
        parts.append(f'<div class="wide{scrolled}"><table><tr>{head}</tr>{rows}</table></div>')
    if section.notes:
        parts.append(
            '<ul class="faint">' + "".join(f"<li>{html.escape(note)}</li>" for note in section.notes) + "</ul>"
        )
    return "\n".join([*parts, "</section>"])


def _cell(text: str) -> str:
    """The text, which a narrow screen may break after a parenthesis, as in the long names of priors."""
    return html.escape(text).replace("(", "(<wbr>")


def _dark() -> dict[str, Any]:
    from matplotlib import style

    dark = dict(style.library["dark_background"])
    return dark | _FONT | {"figure.facecolor": "#16181d", "axes.facecolor": "#16181d", "savefig.facecolor": "#16181d"}


def _image(draw: Callable[[], "Figure"], matplotlib: Any, style: dict[str, Any]) -> tuple[str, float]:
    """The figure as an address that holds it, and its width in inches."""
    with matplotlib.rc_context(style):
        file, figure = io.BytesIO(), draw()
        kind = "svg+xml"
        figure.savefig(file, format="svg", metadata={"Date": None})
        if file.tell() > _LARGEST_SVG:
            kind, file = "png", io.BytesIO()
            figure.savefig(file, format="png", dpi=1.5 * _PIXELS)
    encoded = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{kind};base64,{encoded}", float(figure.get_figwidth())


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
:root { --back: #ffffff; --text: #1b1f24; --faint: #5b6470; --line: #d9dde2; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --back: #16181d; --text: #e6e8eb; --faint: #9aa3ad; --line: #3a3f47; --link: #7db7f0; }
}
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
       max-width: 60rem; margin: 0 auto; padding: 1rem; }
a { color: var(--link); }
h1 { margin: 0; line-height: 1.2; } h3 { margin: 2rem 0 .25rem; }
h2.chapter { margin: 3.5rem 0 0; padding-top: 1rem; border-top: 2px solid var(--line); }
.faint { color: var(--faint); } ul.faint { font-size: .9rem; padding-left: 1.2rem; }
img { max-width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .8rem; border-bottom: 1px solid var(--line); vertical-align: bottom; }
th { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
@media (max-width: 40rem) {
  .scrolled img { max-width: none; min-width: 40rem; }
  .scrolled::before { content: "Wider than the screen: scroll sideways."; color: var(--faint);
                      font-size: .9rem; position: sticky; left: 0; }
  th, td { padding: .3rem .4rem; }
}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{introduction}</p>
<p class="faint">Made by hbm_fast, {made}. {links}</p>
{body}
</body>
</html>
"""
