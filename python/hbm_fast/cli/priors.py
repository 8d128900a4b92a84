"""Priors of alpha on the command line: a name, a colon, its parameters in the order of the class."""

from dataclasses import fields

from hbm_fast import priors

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


def parse_alpha(text: str) -> priors.AlphaPrior:
    """``gamma:2,0.5`` is ``priors.Gamma(2, rate=0.5)``; parameters with defaults may be left out."""
    kind, _, rest = text.partition(":")
    if kind not in _KINDS:
        raise ValueError(f"--alpha must be one of {', '.join(_KINDS)}, a colon and numbers; got {text!r}")
    names = [field.name for field in fields(_KINDS[kind])]
    try:
        values = [float(value) for value in rest.split(",")] if rest else []
        if len(values) > len(names):
            raise ValueError(f"{len(values)} numbers given")
        return _KINDS[kind](**dict(zip(names, values, strict=False)))
    except (TypeError, ValueError) as error:
        reason = "a number is missing" if isinstance(error, TypeError) else error
        raise ValueError(f"--alpha {kind}:{','.join(names)}: {reason}; got {text!r}") from None
