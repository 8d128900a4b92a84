"""The second question of Le (2020) in the report: models learned with both links, beside the exact answer."""

from collections.abc import Iterator
from functools import partial

from hbm_fast.exact import exact_posterior
from hbm_fast.experiments import question_two_plots as figures
from hbm_fast.experiments.report import BAGS, LAST
from hbm_fast.report.page import Section

CHAPTER = "Question 2: can the abstract knowledge be learned as an embedding? Yes, with another link"


def sections(seed: int) -> Iterator[Section]:
    """Answers and figures of the two shipped embeddings."""
    from hbm_fast import embedding

    both = {"exp_plus_one": embedding.load("marbles-exp-plus-one"), "exp": embedding.load("marbles")}
    exact = exact_posterior(BAGS, n_draws=4000, rng=seed)
    rows = []
    for link, learned in both.items():
        post = learned.sample(BAGS, n_draws=4000, rng=seed)
        evidence = float(learned.log_evidence(BAGS))
        rows.append((figures.NAMES[link], f"{post.predict(LAST)[1]:.4f}", f"{evidence:.3f}"))
    rows.append(("exact", f"{exact.predict(LAST)[1]:.4f}", f"{float(exact.log_evidence or 0.0):.3f}"))
    yield Section(
        "The answers",
        "With the link exp + 1 every concentration exceeds one: no z stands for bags of one colour, and one black "
        "marble cannot give more than 2/3; with exp alone the learned model answers as the true one does.",
        columns=("link", "P(next is black)", "log evidence of the bags"),
        rows=rows,
        notes=(
            "The same question on real data, 341 written languages: hbm-fast languages, and the page A language from a "
            "few utterances of the documents.",
        ),
        chapter=CHAPTER,
    )

    yield Section(
        "The example",
        "Left, exp + 1: no peak at black. Middle, exp. Right, the exact posterior.",
        partial(figures.example, both, BAGS, exact),
    )
    yield Section(
        "p(theta | z) with exp + 1",
        "Every density has one hump: there is no z at which bags are white or black.",
        partial(figures.conditional_priors, both["exp_plus_one"]),
    )
    yield Section(
        "p(theta | z) with exp",
        "A whole region of z is U-shaped: each bag is of one colour.",
        partial(figures.conditional_priors, both["exp"]),
    )
    yield Section(
        "What the inference network infers",
        "White and black bags together are at one z, not at two: the concept is a single z, and an inference network "
        "with one mode represents it.",
        partial(figures.posteriors_of_z, both),
    )
    yield Section(
        "The partition of z",
        "Left, the mean proportion of black; right, how alike the bags are. Where the smaller concentration passes one "
        "there is a red line, and bags of one colour beyond it: with exp only.",
        partial(figures.partition, both),
    )
    yield Section(
        "Which directions of z are used",
        "With exp + 1 the posterior means lie on a line, the second direction unused, as in Le (2020); "
        "with exp they fill the plane.",
        partial(figures.use, both),
    )
