"""The note's second question on the report's page: what was learnt with the note's link, with ours, and the truth."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from hbm_fast.exact import exact_posterior
from hbm_fast.experiments import question_two_plots as figures
from hbm_fast.experiments.report import BAGS, LAST, Section

CHAPTER = "Question 2: can the abstract knowledge be learnt as an embedding? Yes, with another link"


def sections(seed: int) -> Iterator[Section]:
    """The note's figures, from the two shipped embeddings."""
    from hbm_fast import embedding

    both = {"exp_plus_one": embedding.load("marbles-exp-plus-one"), "exp": embedding.load("marbles")}
    exact = exact_posterior(BAGS, n_draws=4000, rng=seed)
    rows = []
    for link, learnt in both.items():
        post = learnt.sample(BAGS, n_draws=4000, rng=seed)
        evidence = float(learnt.log_evidence(BAGS))
        rows.append((figures.NAMES[link], f"{post.predict(LAST)[1]:.4f}", f"{evidence:.3f}"))
    rows.append(("exact", f"{exact.predict(LAST)[1]:.4f}", f"{float(exact.log_evidence or 0.0):.3f}"))
    yield Section(
        "The answers",
        "With the note's link, exp + 1, every concentration exceeds one: no z says that bags are of one colour, and "
        "one black marble cannot give more than 2/3; with exp alone the learnt model answers as the true one does.",
        columns=("link", "P(next is black)", "log evidence of the bags"),
        rows=rows,
        chapter=CHAPTER,
    )

    def drawn(title: str, sentence: str, draw: Any, *arguments: Any) -> Section:
        return Section(title, sentence, partial(_drawn, draw, *arguments))

    yield drawn(
        "The example",
        "Left, the note's failure: no peak at black. Middle, the same with exp. Right, the truth.",
        figures.example,
        both,
        BAGS,
        exact,
    )
    yield drawn(
        "What each z means, with the note's link",
        "Every density has one hump: there is no z at which bags are white or black.",
        figures.conditional_priors,
        both["exp_plus_one"],
    )
    yield drawn(
        "What each z means, with exp",
        "A whole region of z is U-shaped: each bag is of one colour.",
        figures.conditional_priors,
        both["exp"],
    )
    yield drawn(
        "What the inference network says",
        "White and black bags together sit in one place, not in two: the concept is a single z, and an inference "
        "network with one mode can say it.",
        figures.posteriors_of_z,
        both,
    )
    yield drawn(
        "The partition of z",
        "Left, the mean proportion of black; right, how alike the bags are. Where the smaller concentration passes one "
        "there is a red line, and bags of one colour beyond it: with exp only.",
        figures.partition,
        both,
    )
    yield drawn(
        "Which directions of z are used",
        "With the note's link the posterior means lie on a line, the second direction ignored, as the note found; "
        "with exp they fill the plane.",
        figures.use,
        both,
    )


def _drawn(draw: Any, *arguments: Any) -> Any:
    from matplotlib import pyplot

    figure = draw(*arguments)
    figure.tight_layout()
    pyplot.close(figure)  # pyplot would keep it; the figure itself can still be saved
    return figure
