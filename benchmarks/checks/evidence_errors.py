"""Whether the standard errors of `hbm.log_evidence` are honest, and its values on tables of known evidence.

Datasets are drawn from the prior. With K = 2 their evidences are those of the quadrature, with K = 3 of the trapezoidal
rule in three dimensions; of mixtures of two and three components sums over all partitions of eight groups. The root
mean square of z, error over standard error, must lie between 0.7 and 1.3.

    python benchmarks/checks/evidence_errors.py --out benchmarks/results/evidence_errors.json
    python benchmarks/checks/evidence_errors.py --datasets 20    # a first look
"""

import math
from pathlib import Path

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

GAMMA = hbm.priors.Gamma
# The table, the model, the log evidence and its error, by importance sampling with tens of thousands of draws of
# other programs.
EXPONENTIAL = {"alpha": hbm.priors.Exponential()}
HOLMES = {"alpha": GAMMA(13.0, rate=0.1), "beta": 0.1}  # Gamma(0.1, rate=0.1) of each of 130 concentrations
REFERENCES = {
    "pollen": (EXPONENTIAL, -555.3130, 0.0008),
    "twins, 20 columns": (EXPONENTIAL, -21299.2106, 0.0008),
    "twins": (EXPONENTIAL, -39312.9439, 0.0008),
    "twins, Holmes' prior": (HOLMES, -39224.8862, 0.0008),
    "first 20 twins, Holmes' prior": (HOLMES, -2474.769, 0.003),
    "first 5 twins, Holmes' prior": (HOLMES, -700.595, 0.010),
    "first 3 twins": (EXPONENTIAL, -438.046, 0.003),
    "first 60 twins, 40 columns": (EXPONENTIAL, -2403.716, 0.002),
}


def tables(twins):
    """Counts of each reference; of the twins' where their table is given."""
    result = {"pollen": hbm.datasets.load_pollen().counts}
    if twins is not None:
        counts = np.loadtxt(twins, delimiter=",", skiprows=1, usecols=range(1, 131)).astype(int)
        most = np.argsort(-counts.sum(axis=0), kind="stable")[:20]
        result |= {
            "twins, 20 columns": counts[:, most],
            "twins": counts,
            "twins, Holmes' prior": counts,
            "first 20 twins, Holmes' prior": counts[:20],
            "first 5 twins, Holmes' prior": counts[:5],
            "first 3 twins": counts[:3],
            "first 60 twins, 40 columns": counts[:60, :40],
        }
    return result


def by_trapezoids(counts, model, step=0.25):
    """log evidence of three categories."""
    t, u = np.arange(-18.0, 5.0, step), np.arange(-16.0, 16.0 + step, step)
    first, second = np.meshgrid(u, u, indexing="ij")
    log_beta = np.stack(
        [
            -np.logaddexp(0.0, -first),
            -np.logaddexp(0.0, first) - np.logaddexp(0.0, -second),
            -np.logaddexp(0.0, first) - np.logaddexp(0.0, second),
        ],
        axis=-1,
    )
    # Dirichlet(1) in the two logits: beta_1 (1 - beta_1)^2 v (1 - v), times the density 2
    jacobian = math.log(2.0) + log_beta[..., 0] + log_beta[..., 1] + log_beta[..., 2]
    stats = hbm.SufficientStatistics(counts)
    each = []
    for x in t:
        value = stats.log_likelihood(np.exp(x + log_beta)) + jacobian
        each.append(np.logaddexp.reduce(value, axis=None) + model.alpha.log_density(x))
    return float(np.logaddexp.reduce(each)) + 3.0 * math.log(step)


def from_prior(rng, k, most_groups, largest_total):
    """One dataset of the default model."""
    n_groups = int(rng.integers(2, most_groups + 1))
    totals = rng.integers(1, largest_total + 1, (1, n_groups))
    return hbm.simulate(hbm.HierarchicalModel(k), 1, n_groups=n_groups, totals=totals, rng=rng).counts[0]


def bags(rng):
    """Eight groups of a mixture of two components."""
    alpha, black = rng.exponential(3.0, 2), rng.random(2)
    chosen = rng.integers(2, size=8)
    theta = rng.beta(alpha[chosen] * black[chosen], alpha[chosen] * (1.0 - black[chosen]))
    drawn = rng.binomial(12, theta)
    return np.stack([drawn, 12 - drawn], axis=1)


def cases(n_datasets, names=None):
    """Name, method, model, datasets and their log evidences, of all cases or of those named."""
    two, three = hbm.HierarchicalModel(2), hbm.HierarchicalModel(3)
    exact = {
        "K = 2": (two, lambda rng: from_prior(rng, 2, 30, 50), lambda x: hbm.log_evidence(x, two).value),
        "K = 3": (three, lambda rng: from_prior(rng, 3, 8, 8), lambda x: by_trapezoids(x, three)),
    }
    for j in (2, 3):
        model = hbm.MixtureModel(2, n_components=j)
        exact[f"{j} components"] = (
            model,
            bags,
            lambda x, model=model: hbm.log_evidence(x, model, method="enumeration").value,
        )
    for seed, (name, (model, drawn, truth)) in enumerate(exact.items()):
        if names is not None and name not in names:
            continue
        counts = [drawn(np.random.default_rng([seed, b])) for b in range(n_datasets)]
        methods = ["bridge"] if isinstance(model, hbm.MixtureModel) else ["importance", "bridge"]
        values = [truth(x) for x in counts]
        for method in methods:
            yield name, method, model, counts, values


def z_scores(model, method, counts, truths):
    """z of each dataset, and the errors."""
    found = [hbm.log_evidence(x, model, method=method, rng=b) for b, x in enumerate(counts)]
    errors = np.array([e.error for e in found])
    return (np.array([e.value for e in found]) - truths) / errors, errors


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--twins", type=Path, help="the table of Turnbaugh et al. (2009), 278 samples x 130 taxa")
    options = parser.parse_args()
    records = []

    def record(one):
        records.append(one)
        print(one.case, one.method, one.seconds, one.metrics, flush=True)
        notes = ["z: difference from the true log evidence over the standard error given."]
        checking.write(options.out, "Errors of log_evidence", records, notes)

    for name, counts in tables(options.twins).items():
        prior, value, error = REFERENCES[name]
        model = hbm.HierarchicalModel(counts.shape[1], **prior)
        found, seconds = checking.timed(hbm.log_evidence, counts, model, rng=1)
        metrics = {"value": found.value, "error": found.error, "reference": value, "reference_error": error}
        record(Record(name, found.method, seconds=seconds, metrics=metrics))
    known = hbm.HierarchicalModel(1000, alpha=30.0)
    large = hbm.simulate(known, 1, n_groups=200, totals=5000, rng=1).counts[0]
    for method in ("importance", "bridge"):
        found, seconds = checking.timed(hbm.log_evidence, large, method=method, rng=1)
        record(Record("K = 1000", method, seconds=seconds, metrics={"value": found.value, "error": found.error}))
    record(Record("K = 1000", "sample", seconds=checking.timed(hbm.sample, large, rng=1)[1]))
    for name, method, model, counts, truths in cases(options.datasets):
        (z, errors), seconds = checking.timed(z_scores, model, method, counts, truths)
        metrics = {
            "z_rms": float(np.sqrt((z**2).mean())),
            "z_mean": float(z.mean()),
            "largest_z": float(np.abs(z).max()),
            "median_error": float(np.median(errors)),
            "largest_error": float(errors.max()),
        }
        record(Record(f"{name}, {len(z)} datasets", method, seconds=seconds / len(z), metrics=metrics))


if __name__ == "__main__":
    main()
