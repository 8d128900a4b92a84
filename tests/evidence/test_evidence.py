"""log_evidence beside exact values."""

import math

import numpy as np
import pytest
from tests.mixture.exact_partitions import FINITE, OPEN

import hbm_fast as hbm

PROCESS = hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0))


@pytest.mark.parametrize("case", OPEN)
def test_dirichlet_process(case):
    found = hbm.log_evidence(OPEN[case]["bags"], PROCESS)
    assert found.method == "enumeration"
    assert found.value == pytest.approx(OPEN[case]["log_evidence"], abs=1e-6)
    padded = hbm.log_evidence(OPEN[case]["bags"] + [[0, 0]], PROCESS)
    assert padded.value == pytest.approx(found.value, abs=1e-9)


@pytest.mark.parametrize("case", FINITE)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_finite_mixture_by_bridge_sampling(case, n_components):
    model = hbm.MixtureModel(2, n_components=n_components)
    found = hbm.log_evidence(FINITE[case]["bags"], model, method="bridge", rng=1)
    exact = FINITE[case]["log_evidence"][n_components]
    assert abs(found.value - exact) < min(0.05, 6 * found.error)
    assert found.error < 0.02
    if n_components == 1:
        one = hbm.log_evidence(FINITE[case]["bags"], model)
        assert one.method == "quadrature"
        assert one.value == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("model", [hbm.MixtureModel(2, n_components=2, weights=0.5), PROCESS])
def test_enumeration_agrees_with_all_labellings(model):
    """A direct sum for four bags: over labellings of a finite mixture, over partitions of a process."""
    bags = np.array([[6, 0], [5, 1], [0, 7], [3, 3]])
    found = hbm.log_evidence(bags, model, method="enumeration")
    total = 0.0
    for code in range(4**4):
        labels = [code >> 2 * n & 3 for n in range(4)]
        if model is PROCESS and [list(dict.fromkeys(labels)).index(z) for z in labels] != labels:
            continue  # each partition once
        if model is not PROCESS and max(labels) > 1:
            continue
        sizes = [labels.count(j) for j in range(4)]
        log_p = sum(hbm.exact_posterior(bags[np.equal(labels, j)]).log_evidence for j in range(4) if sizes[j])
        if model is PROCESS:
            log_p += sum(math.lgamma(s) for s in sizes if s) - math.lgamma(5)
        else:
            log_p += sum(math.lgamma(0.5 + s) - math.lgamma(0.5) for s in sizes[:2]) - math.lgamma(5)
        total += math.exp(log_p)
    assert found.value == pytest.approx(math.log(total), abs=1e-6)


def test_many_categories():
    """One group and alpha known: the evidence is that of a mixture of Dirichlet-multinomials with known beta."""
    # alpha = 1e9: the group is one multinomial with beta ~ Dirichlet(1), so the evidence is 1 / C(M + K - 1, M)
    found = hbm.log_evidence([[3, 1, 0, 2]], hbm.HierarchicalModel(4, alpha=1e9))
    assert found.value == pytest.approx(-math.log(math.comb(9, 3)), abs=max(0.01, 6 * found.error))
    # pollen, 73 x 4, by importance sampling at the mode: -555.3130 +- 0.0008
    pollen = hbm.datasets.load_pollen().counts
    found = hbm.log_evidence(pollen, hbm.HierarchicalModel(4))
    assert found.method == "bridge"
    assert found.error < 0.01
    assert abs(found.value + 555.3130) < 6 * found.error + 0.003


@pytest.mark.parametrize(
    "prior",
    [
        {"beta": hbm.priors.FixedBeta([0.3, 0.7])},
        {"alpha": 2.0},
        {"alpha": 2.0, "beta": hbm.priors.FixedBeta([0.3, 0.7])},
        {"alpha": hbm.priors.LogUniform(0.1, 10), "beta": [0.5, 2.0]},
    ],
)
def test_bridge_agrees_with_quadrature(prior):
    bags = [[6, 0], [5, 1], [0, 7], [3, 3]]
    model = hbm.HierarchicalModel(2, **prior)
    exact, found = (hbm.log_evidence(bags, model, method=method) for method in ("quadrature", "bridge"))
    assert abs(found.value - exact.value) < 6 * found.error + 1e-5


def test_learned_concentration_of_beta():
    """Its evidence is the mean over its prior of the evidences of fixed concentrations."""
    bags = [[6, 0], [5, 1], [0, 7], [3, 3]]
    prior = hbm.priors.Gamma(3.0, rate=2.0)
    log_c = np.linspace(-4, 3, 57)
    each = [hbm.exact_posterior(bags, hbm.HierarchicalModel(2, beta=math.exp(t))).log_evidence for t in log_c]
    exact = math.log((np.exp(np.array(each) + prior.log_density(log_c)) * (log_c[1] - log_c[0])).sum())
    found = hbm.log_evidence(bags, hbm.HierarchicalModel(2, beta=hbm.priors.Dirichlet(prior)))
    assert abs(found.value - exact) < 6 * found.error + 1e-4


def test_refusals_and_repr():
    bags = np.full((11, 2), 3)
    with pytest.raises(ValueError, match="at most 10 groups"):
        hbm.log_evidence(bags, PROCESS)
    with pytest.raises(ValueError, match="enumeration"):
        hbm.log_evidence(bags, PROCESS, method="bridge")
    with pytest.raises(ValueError, match="K = 2"):
        hbm.log_evidence([[1, 2, 3]], hbm.HierarchicalModel(3), method="quadrature")
    with pytest.raises(ValueError, match="method must be"):
        hbm.log_evidence(bags, hbm.HierarchicalModel(2), method="laplace")
    with pytest.raises(TypeError, match="model must be"):
        hbm.log_evidence(bags, 3)
    with pytest.raises(TypeError, match="SufficientStatistics have no groups"):
        hbm.log_evidence(hbm.SufficientStatistics(bags), hbm.HierarchicalModel(2))
    with pytest.raises(TypeError, match="data holds covariates"):
        hbm.log_evidence(bags, hbm.HierarchicalModel(2), data=bags)
    with pytest.raises(ValueError, match="at most 10 components"):
        hbm.log_evidence(bags, hbm.MixtureModel(2, n_components=11))
    assert repr(hbm.log_evidence([[0, 1]], hbm.HierarchicalModel(2))).startswith("Evidence(-0.6931")
