"""Simulation-based calibration of the sampler of populations: ranks of the truth among its draws are uniform.

Each population is drawn from the priors of a PopulationModel, then its B datasets of N groups with totals from 0 to 15;
`hbm.sample` draws one chain. The rank of mu, tau, kappa, m_1, log alpha_1, log beta_11 and of the log-likelihood of all
counts among every 12th of 600 draws is uniform on 0, ..., 50 where the sampler is right (Talts et al. 2018,
arXiv:1804.06788).

    python benchmarks/checks/population_calibration.py --out benchmarks/results/population_calibration.json
    python benchmarks/checks/population_calibration.py --populations 200      # a first look
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

CASES = ((8, 6, 2), (20, 10, 5))
NAMES = ("mu", "tau", "kappa", "m_1", "log_alpha_1", "log_beta_11", "log_likelihood")
N_DRAWS, THIN = 600, 12
TOTALS = (0, 15)


def log_likelihood(counts, log_alpha, log_beta):
    """Of all datasets (B, N, K) at draws (B, S) and (B, S, K), without coefficients."""
    return sum(
        hbm.SufficientStatistics(table).log_likelihood(
            np.exp(np.maximum(a[:, np.newaxis] + b, -690.0)), coefficient=False
        )
        for table, a, b in zip(counts, log_alpha, log_beta, strict=True)
    )


def ranks(shape, number, n_draws=N_DRAWS, thin=THIN):
    """Ranks of the true values of one simulated population among its thinned draws."""
    n_datasets, n_groups, k = shape
    model = hbm.PopulationModel(k)
    seed = np.random.SeedSequence([*shape, number])
    sims = hbm.simulate(model, n_datasets, n_groups=n_groups, totals=TOTALS, rng=seed, theta=False)
    post = hbm.sample(
        sims.counts, model, n_chains=1, n_draws=n_draws, rng=seed.spawn(1)[0], diagnostics=False, n_threads=1
    )
    kept = slice(thin - 1, None, thin)
    p, true = post.population, sims.population
    log_alpha, log_beta = post.datasets.log_alpha[:, 0, kept], post.datasets.log_beta[:, 0, kept]
    draws = np.array(
        [
            p.mu[0, kept],
            p.tau[0, kept],
            p.kappa[0, kept],
            p.m[0, kept, 0],
            log_alpha[0],
            log_beta[0, :, 0],
            log_likelihood(sims.counts, log_alpha, log_beta),
        ]
    )
    own = log_likelihood(sims.counts, sims.log_alpha[:, np.newaxis], sims.log_beta[:, np.newaxis])[0]
    first = sims.log_alpha[0], sims.log_beta[0, 0]
    truth = np.array([true["mu"], true["tau"], true["kappa"], true["m"][0], *first, own])
    return (draws < truth[:, np.newaxis]).sum(axis=1)


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--populations", type=int, default=4000)
    parser.add_argument("--processes", type=int, default=1, help="the ranks do not depend on it")
    options = parser.parse_args()
    records = []
    for shape in CASES:
        with ProcessPoolExecutor(options.processes) as pool:
            numbers = range(options.populations)
            pairs = list(pool.map(partial(checking.timed, ranks, shape), numbers, chunksize=20))
        found, seconds = np.array([each for each, _ in pairs]), sum(spent for _, spent in pairs)
        p_values = [checking.uniform_p(column, N_DRAWS // THIN + 1, n_bins=17) for column in found.T]
        values = dict(zip(NAMES, p_values, strict=True))
        print(
            shape, {name: round(value, 5) for name, value in values.items()}, f"{seconds:.0f} CPU seconds", flush=True
        )
        case = "B = {}, N = {}, K = {}".format(*shape)
        metrics = {f"p_{name}": value for name, value in values.items()} | {"cpu_seconds": seconds}
        records.append(Record(case, "PopulationModel", metrics=metrics))
        notes = [f"{options.populations} simulated populations a case; p-values of the chi-square test of the ranks."]
        checking.write(options.out, "Calibration of populations", records, notes)


if __name__ == "__main__":
    main()
