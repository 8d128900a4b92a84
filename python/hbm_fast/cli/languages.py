"""`hbm-fast languages`: a written language from a few utterances."""

import textwrap
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hbm_fast import __version__
from hbm_fast.cli import options
from hbm_fast.cli.output import WIDTH

if TYPE_CHECKING:
    from hbm_fast.experiments.languages import Demonstration


_NAME = 24  # columns of the name of a language
_MARKS = {"nearest relative": " *"}


class Examples(StrEnum):
    """Numbers of example sentences."""

    ONE = "1"
    TWO = "2"
    FIVE = "5"
    TWENTY = "20"


def languages(
    examples: Annotated[
        Examples,
        typer.Option(metavar=options.choice(Examples), help="How many sentences of the language are given."),
    ] = Examples.ONE,
    language: Annotated[str, typer.Option(metavar="NAME", help="One of the 80 held-out languages.")] = "Faroese",
    text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="A sentence of yours: is it of the same language?", show_default=False),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Train and measure for half an hour, and write the page FILE (.md) instead."),
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of --page with all languages.", min=1)] = 3,
    as_json: options.AsJson = False,
    force: options.Force = False,
) -> None:
    """Given a sentence of an unknown language: which new sentences are of it, and text that could be.

    Written languages in Latin script, folded to 26 letters. The network comes with hbm_fast, and was trained on 231
    languages; the 80 from which --language takes one were held out.

    Example: hbm-fast languages --language Turkish --examples 5
    """
    if page is not None:
        options.check_target(page, "--page", (".md",), force=force)
        from hbm_fast.experiments import languages_page

        languages_page.write(page, n_seeds=seeds, force=force, report=print)
        return
    from hbm_fast.experiments.languages import demonstrate

    shown = demonstrate(language, int(examples), text)
    if as_json:
        options.print_json({"command": "languages", "version": __version__, **shown.record()})
        return
    print("\n".join(screen(shown)))


def screen(shown: "Demonstration") -> list[str]:
    """The answer in lines of at most 80 columns."""
    n = len(shown.examples)
    given = f"Given {'one sentence' if n == 1 else f'{n} sentences'} of {shown.language}, a language held out:"
    lines = textwrap.wrap(given, WIDTH)
    lines += [f"  {_cut(example, WIDTH - 2)}" for example in shown.examples]
    lines += [
        "",
        *textwrap.wrap(f"New sentences, and the probability, 0.5 before, that each is {shown.language}:", WIDTH),
    ]
    names = [_cut(row.language, _NAME) + _MARKS.get(row.relation, "") for row in shown.new]
    width = max(map(len, names))
    lines += [
        f"  {row.probability:.3f}  {name:<{width}}  {_cut(row.text, WIDTH - width - 11)}"
        for row, name in zip(shown.new, names, strict=True)
    ]
    lines += ["  * its nearest relative of all 341 languages, by the shares of letter pairs", ""]
    lines += ["Text generated from the examples (a chain of letters, back-off from trigrams):"]
    lines += [f"  {_cut(text, WIDTH - 2)}" for text in shown.generated]
    lines += ["", *_list(f"Nearest languages of the {shown.n_learned} learned from", shown.nearest)]
    if shown.nearest_to_text is not None:
        lines += _list("Nearest to your text", shown.nearest_to_text)
    return lines


def _cut(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder="...")


def _list(title: str, names: list[str]) -> list[str]:
    return textwrap.wrap(f"{title}: {'; '.join(names)}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
