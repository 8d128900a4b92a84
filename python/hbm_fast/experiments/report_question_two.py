"""The second question of Le (2020) in the report: models learned with both links, beside the exact answer."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from hbm_fast.exact import exact_posterior
from hbm_fast.experiments import question_two_plots as figures
from hbm_fast.experiments.report import BAGS, LAST
from hbm_fast.report.page import Section

CHAPTER = "Question 2: can the abstract knowledge be learned as an embedding?"


def sections(seed: int) -> Iterator[Section]:
    """Answers and figures of the two shipped embeddings."""
    from hbm_fast import embedding

    both = {"exp_plus_one": embedding.load("marbles-exp-plus-one"), "exp": embedding.load("marbles")}
    exact = exact_posterior(BAGS, n_draws=4000, rng=seed)
    posteriors = figures.answers(both, BAGS, exact)
    evidences = {figures.NAMES[link]: float(learned.log_evidence(BAGS)) for link, learned in both.items()}
    evidences["exact"] = float(exact.log_evidence or 0.0)
    nearest = min((name for name in evidences if name != "exact"), key=lambda name: -evidences[name])
    yield Section(
        "The answers",
        "With the link exp + 1 every concentration exceeds one. Of such densities of theta the flat one is the nearest "
        "to bags of one colour, and with it one black marble gives 2/3. With exp alone concentrations go down to zero. "
        f"Nearest to the exact log evidence: {nearest}, {evidences['exact'] - evidences[nearest]:.3f} below it.",
        columns=("link", "P(next is black)", "log evidence"),
        rows=[(name, f"{post.predict(LAST)[1]:.4f}", f"{evidences[name]:.3f}") for name, post in posteriors.items()],
        notes=(
            "The same question on real data, 341 written languages: hbm-fast languages, and the page A language from a "
            "few utterances of the documents.",
        ),
        chapter=CHAPTER,
    )
    yield Section(
        "The example",
        "The proportion of black in the last bag, given all 21 bags: by both learned models, and exactly.",
        partial(figures.example, posteriors),
    )
    for link, learned in both.items():
        yield Section(
            f"p(theta | z) with {figures.NAMES[link]}",
            "At each z the density of theta, from 0 (all white, left) to 1 (all black, right), cut at "
            f"{figures.HIGHEST:g}. {_pure(learned)}",
            partial(figures.conditional_priors, learned),
        )
    draws = figures.draws_of_z(both)
    spread = {link: " and ".join(f"{sd:.2f}" for sd in found[figures.PURE].std(0)) for link, found in draws.items()}
    yield Section(
        "What the inference network infers",
        "z is one point for all bags of a dataset: that bags are white or black is one z, and not two. Standard "
        "deviations of z1 and z2 given ten white and ten black bags: "
        f"{'; '.join(f'{figures.NAMES[link]}: {text}' for link, text in spread.items())}.",
        partial(figures.posteriors_of_z, draws),
    )
    yield Section(
        "The plane of z",
        "Left, the mean proportion of black; right, the concentration alpha = f1(z) + f2(z), small where bags are of "
        "one colour. Red: where the smaller of f1 and f2 is 1, in the links that reach it.",
        partial(figures.partition, both),
    )
    means, black = figures.means_of_z(both)
    directions = {link: " and ".join(f"{v:.2f}" for v in figures.variances(found)) for link, found in means.items()}
    yield Section(
        "Which directions of z are used",
        "E[z | x] of 600 simulated datasets. Its variance in the direction of the most and of the least: "
        f"{'; '.join(f'{figures.NAMES[link]}: {text}' for link, text in directions.items())}. "
        "The prior's variance is 1; a direction near 0 is not used.",
        partial(figures.use, means, black),
    )


def _pure(learned: Any) -> str:
    """How many of the densities shown are of bags of one colour: where both concentrations are below 1."""
    grid = np.stack(np.meshgrid(figures.CORNERS, figures.CORNERS), axis=-1)
    n = int((learned.concentration(grid).max(-1) < 1.0).sum())
    return f"Of these {figures.CORNERS.size**2} densities {n if n else 'none'} {'is' if n == 1 else 'are'} U-shaped."
