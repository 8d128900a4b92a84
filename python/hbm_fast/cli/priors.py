"""Priors on the command line: a name, a colon, its parameters in the order of the class."""

from dataclasses import fields

from hbm_fast import priors
from hbm_fast.models import HierarchicalModel
from hbm_fast.tables import CountTable

_KINDS: dict[str, type[priors.AlphaPrior]] = {
    cls.kind.replace("_", "-"): cls
    for cls in (
        priors.Exponential,
        priors.Fixed,
        priors.Gamma,
        priors.HalfCauchy,
        priors.HalfNormal,
        priors.LogNormal,
        priors.LogUniform,
        priors.Lomax,
        priors.Power,
    )
}


def model_of(table: CountTable, alpha: str | None, beta: str | None, *, for_table: bool) -> HierarchicalModel:
    """The model of `sample` and `report`, by default with the priors of Le (2020)."""
    if for_table:
        if alpha is not None or beta is not None:
            raise ValueError("--for-table chooses both priors: leave out --alpha and --beta, or --for-table")
        return HierarchicalModel.for_table(table)
    return HierarchicalModel(
        table.counts.shape[1],
        alpha=None if alpha is None else parse_alpha(alpha),
        beta=None if beta is None else parse_beta(beta),
    )


def parse_beta(text: str) -> priors.Dirichlet:
    """``0.5`` is ``priors.Dirichlet(0.5)``, ``exponential:1`` is ``priors.Dirichlet(priors.Exponential(1))``."""
    try:
        return priors.Dirichlet(float(text))
    except ValueError as error:
        if text.partition(":")[0] in _KINDS:
            return priors.Dirichlet(parse_alpha(text, "--beta"))
        raise ValueError(
            "--beta must be the concentration of a Dirichlet, a positive number such as 0.5, or the prior of a learned "
            f"one, such as exponential:1; got {text!r}"
        ) from error


def parse_alpha(text: str, option: str = "--alpha") -> priors.AlphaPrior:
    """``gamma:2,0.5`` is ``priors.Gamma(2, rate=0.5)``; parameters with defaults may be left out."""
    kind, _, rest = text.partition(":")
    if kind not in _KINDS:
        raise ValueError(f"{option} must be one of {', '.join(_KINDS)}, a colon and numbers; got {text!r}")
    names = [field.name for field in fields(_KINDS[kind])]
    try:
        values = [float(value) for value in rest.split(",")] if rest else []
        if len(values) > len(names):
            raise ValueError(f"{len(values)} numbers given")
        return _KINDS[kind](**dict(zip(names, values, strict=False)))
    except (TypeError, ValueError) as error:
        reason = "a number is missing" if isinstance(error, TypeError) else error
        raise ValueError(f"{option} {kind}:{','.join(names)}: {reason}; got {text!r}") from None
