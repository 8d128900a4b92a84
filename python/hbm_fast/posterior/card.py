"""The result card of a posterior: what a console prints and a notebook shows."""

from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from hbm_fast import _display, _weighted

if TYPE_CHECKING:
    from hbm_fast.posterior.posterior import Posterior

_VALUES = 1_000_000  # of beta, from which the card is computed: some milliseconds
_MOST_BETA = 3
_LEVELS = (0.05, 0.95)


def text(post: "Posterior") -> str:
    """At most ten lines."""
    rows = _rows(post)
    width = max(len(name) for name, *_ in rows)
    lines = [f"  {name:<{width}}  {mean} [{low}, {high}]" for name, mean, low, high in rows]
    return "\n".join([f"{type(post).__name__}: {_heading(post)}", *lines, *(f"  {note}" for note in _notes(post))])


def html(post: "Posterior") -> str:
    """The same as a table."""
    caption = "; ".join([f"{type(post).__name__}: {_heading(post)}", *_notes(post)])
    header = ("", "median", "smallest", "largest") if _batch(post) else ("", "mean", "5%", "95%")
    return _display.table(caption, header, _rows(post))


def _batch(post: "Posterior") -> bool:
    return post.log_alpha.ndim == 3


def _heading(post: "Posterior") -> str:
    names = post.dataset_names
    parts = (
        [f"{len(post)} datasets{_display.names(names)}"]
        if _batch(post)
        else [_display.one_line(name) for name in names or ()]
    )
    if post.counts is not None:
        parts.append(f"{post.counts.shape[-2]} groups{_display.names(post.group_names)}")
    parts.append(f"{post.n_categories} categories{_display.names(post.category_names)}")
    method = "exact, by quadrature" if post.moments is not None else f"method {post.method}"
    return f"{', '.join(parts)}; {method}, {post.n_chains} x {post.n_draws} draws"


def _rows(post: "Posterior") -> list[tuple[str, ...]]:
    """Mean and 90 % interval of alpha, a learned concentration and the largest beta; of a batch, the range of alpha."""
    some = _thinned(post)
    if _batch(post):
        means = np.atleast_1d(some.mean("alpha"))
        values = (np.median(means), means.min(), means.max())
        return [("mean of alpha, median [smallest, largest]", *(f"{value:.3g}" for value in values))]
    single = ("alpha", *post._learned)
    rows = [(name, some.mean(name), *some.quantile(name, _LEVELS)) for name in single]
    labels = [_display.one_line(name) for name in _display.labels(post.category_names, post.n_categories)]
    beta = some.mean("beta")
    bounds = some.quantile("beta", _LEVELS)
    for k in np.argsort(-beta, kind="stable")[:_MOST_BETA]:
        rows.append((f"beta[{labels[k]}]", beta[k], *bounds[:, k]))
    return [(name, *(f"{value:.3g}" for value in values)) for name, *values in rows]


def _thinned(post: "Posterior") -> "Posterior":
    """The posterior with fewer draws where there are very many, because a card must appear at once."""
    step = -(-post.log_beta.size // _VALUES)
    if step == 1 or post.moments is not None:
        return post
    log_weights = post.log_weights
    if log_weights is not None:
        kept = log_weights[..., ::step]
        flat = kept.reshape(*kept.shape[:-2], -1)
        if not (flat.max(axis=-1) > -np.inf).all():
            return post
        log_weights = _weighted.normalise(flat).reshape(kept.shape)
    before = (slice(None),) * (post.log_alpha.ndim - 1)  # the axes before that of the draws
    return post._with_draws(itemgetter((*before, slice(None, None, step))), log_weights)


def _notes(post: "Posterior") -> list[str]:
    notes = []
    if post.n_categories > _MOST_BETA and not _batch(post):
        notes.append(f"and {post.n_categories - _MOST_BETA} further categories: see summary()")
    if "r_hat" in post.details and post.moments is None:
        r_hat, ess = (np.asarray(post.details[name], np.float64).ravel() for name in ("r_hat", "ess_bulk"))
        if not (np.isnan(r_hat).all() or np.isnan(ess).all()):
            notes.append(f"R-hat at most {np.nanmax(r_hat):.3f}, effective draws at least {np.nanmin(ess):.0f}")
    if post.log_weights is not None:
        size = _weighted.effective_size(post.log_weights.reshape(*post.log_weights.shape[:-2], -1))
        notes.append(f"importance weights, effective draws at least {size.min():.0f}")
    if post.log_evidence is not None:
        value = np.atleast_1d(post.log_evidence)
        notes.append(f"log evidence {f'{value[0]:.4f}' if not _batch(post) else f'in total {value.sum():.4f}'}")
    return notes
